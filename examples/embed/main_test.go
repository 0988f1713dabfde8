package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
)

// TestEmbed starts a job through the mounted API, sees it in the program's own route, and
// finds the page and its stream.
func TestEmbed(t *testing.T) {
	target := httptest.NewServer(http.NotFoundHandler())
	defer target.Close()
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	api := httpapi.New(m)
	live := socketio.New(m, socketio.WithCalls(api.Call))
	defer live.Close()
	defer m.Close()
	program := httptest.NewServer(routes(m, api, live))
	defer program.Close()

	assert.Equal(t, "jobs running: 0\n", call(t, http.MethodGet, program.URL+"/busy", ""))
	call(t, http.MethodPost, program.URL+"/load/api/start", `{"job":"shop","url":"`+target.URL+`"}`)
	assert.Equal(t, "jobs running: 1\n", call(t, http.MethodGet, program.URL+"/busy", ""))
	assert.Contains(t, call(t, http.MethodGet, program.URL+"/load/api/list", ""), `"shop"`)
	assert.Contains(t, call(t, http.MethodGet, program.URL+"/load/", ""), "<!doctype html>")
	assert.Contains(t, call(t, http.MethodGet, program.URL+"/load/socket.io/?EIO=4&transport=polling", ""), `"sid"`)
}

func call(t *testing.T, method, url, body string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", answer)
	return string(answer)
}
