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
	"github.com/opbeans/loadgen/scenarios"
)

// TestEmbed starts a job through the mounted API and sees it in the program's own
// route.
func TestEmbed(t *testing.T) {
	target := httptest.NewServer(http.NotFoundHandler())
	defer target.Close()
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	program := httptest.NewServer(routes(m))
	defer program.Close()

	assert.Equal(t, "0 jobs are running\n", call(t, http.MethodGet, program.URL+"/busy", ""))
	call(t, http.MethodPost, program.URL+"/load/api/start", `{"job":"shop","url":"`+target.URL+`"}`)
	assert.Equal(t, "1 jobs are running\n", call(t, http.MethodGet, program.URL+"/busy", ""))
	assert.Contains(t, call(t, http.MethodGet, program.URL+"/load/api/list", ""), `"shop"`)
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
