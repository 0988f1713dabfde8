package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
)

// TestRun: the program starts a job, changes it and hears of its end.
func TestRun(t *testing.T) {
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	_, targetPort, err := net.SplitHostPort(target.Listener.Addr().String())
	require.NoError(t, err)

	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	api := httpapi.New(m, httpapi.WithTarget("http://127.0.0.1:{port}"))
	live := socketio.New(m, socketio.WithCalls(api.Call))
	server := httptest.NewServer(live)
	defer server.Close()
	defer live.Close()
	defer m.Close()
	host, text, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)

	require.NoError(t, run(host, port, targetPort, 50*time.Millisecond))
	j, err := m.Get("gosf")
	require.NoError(t, err)
	assert.NotEqual(t, loadgen.StateRunning, j.State())
	assert.Equal(t, 10, j.Config().Workers)
	assert.Positive(t, j.Snapshot().Requests)

	live.Close()
	assert.Error(t, run(host, port, targetPort, 0), "nobody answers")
}
