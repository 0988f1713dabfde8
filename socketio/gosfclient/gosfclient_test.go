package gosfclient_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ambelovsky/gosf"
	gosocketio "github.com/ambelovsky/gosf-socketio"
	"github.com/ambelovsky/gosf-socketio/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
	"github.com/opbeans/loadgen/socketio"
	"github.com/opbeans/loadgen/socketio/gosfclient"
)

// serve runs a load generator as its server does, with a target for its jobs.
func serve(t *testing.T) (m *loadgen.Manager, host string, port int, targetPort string, stop func()) {
	t.Helper()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	_, targetPort, err := net.SplitHostPort(target.Listener.Addr().String())
	require.NoError(t, err)
	m = loadgen.New(loadgen.WithScenarios(scenarios.FS))
	api := httpapi.New(m, httpapi.WithTarget("http://127.0.0.1:{port}"))
	live := socketio.New(m, socketio.WithCalls(api.Call))
	mux := http.NewServeMux()
	mux.Handle("/", api)
	mux.Handle("/socket.io/", live)
	server := httptest.NewServer(mux)
	stop = sync.OnceFunc(func() {
		m.Close()
		live.Close()
		server.Close()
		target.Close()
	})
	t.Cleanup(stop)
	host, text, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	port, err = strconv.Atoi(text)
	require.NoError(t, err)
	return m, host, port, targetPort, stop
}

// microservice registers a server the way that a gosf program does.
func microservice(t *testing.T, host string, port int) *gosf.Microservice {
	t.Helper()
	require.NoError(t, gosf.RegisterMicroservice(t.Name(), host, port, false))
	t.Cleanup(func() { gosf.DeregisterMicroservice(t.Name()) })
	return gosf.GetMicroservice(t.Name())
}

// The unmodified Microservice.Call of gosf, 500 calls side by side: each gets the
// answer to its own.
func TestMicroserviceCalls(t *testing.T) {
	m, host, port, targetPort, _ := serve(t)
	ms := microservice(t, host, port)
	message := gosf.NewSuccessMessage("", map[string]any{"job": "opbeans-python", "port": targetPort, "workers": 1, "delay": 1})
	message.ID, message.GUID, message.UUID = 7, "g", "u"
	answer, err := patientCall(ms, "start", message)
	require.NoError(t, err)
	assert.Equal(t, &gosf.Message{ID: 7, GUID: "g", UUID: "u", Success: true, Body: map[string]any{}}, answer)
	j, err := m.Get("python")
	require.NoError(t, err)
	_, err = patientCall(ms, "update", gosf.NewSuccessMessage("", map[string]any{"job": "python", "workers": 2}))
	require.NoError(t, err)
	assert.Equal(t, 2, j.Config().Workers)

	var calls sync.WaitGroup
	for i := range 500 {
		calls.Go(func() {
			message := &gosf.Message{ID: i + 1, Body: map[string]any{"job": "nosuch"}}
			endpoint := []string{"list", "stop", "list", "dance", "list"}[i%5]
			if endpoint == "list" {
				message.Body = nil
			}
			answer, err := patientCall(ms, endpoint, message)
			if !assert.NoError(t, err, endpoint) {
				return
			}
			assert.Equal(t, i+1, answer.ID, endpoint)
			assert.Equal(t, endpoint != "dance", answer.Success, "%s: %s", endpoint, answer.Text)
			switch endpoint {
			case "list":
				assert.Contains(t, answer.Body, "python")
			case "dance":
				assert.Contains(t, answer.Text, "no dance")
			}
		})
	}
	calls.Wait()
	assert.True(t, ms.Connected())
}

// patientCall calls again after the two seconds that gosf waits, which are not
// always enough for a busy machine. A call that is never answered still fails.
func patientCall(ms *gosf.Microservice, endpoint string, message *gosf.Message) (answer *gosf.Message, err error) {
	for range 10 {
		answer, err = ms.Call(endpoint, message)
		if !errors.Is(err, gosocketio.ErrorSendTimeout) {
			break
		}
	}
	return answer, err
}

// patient is a microservice as gosf has it, but for the two seconds that it waits for an
// answer: calls that change something cannot be made again.
func patient(t *testing.T, host string, port int) caller {
	t.Helper()
	client, err := gosocketio.Dial(gosocketio.GetUrl(host, port, false), transport.GetDefaultWebsocketTransport())
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return func(endpoint string, message *gosf.Message) (*gosf.Message, error) {
		answer, err := client.Ack(endpoint, message, time.Minute)
		if err != nil {
			return nil, err
		}
		m := new(gosf.Message)
		return m, json.Unmarshal([]byte(answer), m)
	}
}

func TestClient(t *testing.T) {
	_, host, port, targetPort, stop := serve(t)
	var mu sync.Mutex
	seen := map[string]int{}
	w, err := gosfclient.Watch(host, port, false, func(job, change string) {
		mu.Lock()
		defer mu.Unlock()
		seen[job+" "+change]++
	})
	require.NoError(t, err)
	defer w.Close()
	client := gosfclient.New(patient(t, host, port))

	weight := 5.0
	require.NoError(t, client.Start(gosfclient.Job{Job: "opbeans-ruby", Port: targetPort, Workers: 2, Delay: "10ms", ErrorWeight: &weight}))
	require.NoError(t, client.Update(gosfclient.Job{Job: "ruby", Workers: 3}))
	jobs, err := client.List()
	require.NoError(t, err)
	assert.Equal(t, []string{"ruby"}, slices.Collect(maps.Keys(jobs)))
	assert.True(t, jobs["ruby"].Running)
	assert.Equal(t, "ruby", jobs["ruby"].Name)
	assert.EqualValues(t, 3, jobs["ruby"].All["workers"])
	assert.EqualValues(t, 5, jobs["ruby"].All["error_weight"])
	names, err := client.Scenarios()
	require.NoError(t, err)
	assert.Contains(t, names, "molotov_scenarios")
	require.NoError(t, client.Stop("ruby"))
	assert.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return maps.Equal(seen, map[string]int{"ruby start": 1, "ruby update": 1, "ruby stop": 1})
	}, time.Minute, time.Millisecond)

	err = client.Start(gosfclient.Job{Job: "x", Port: targetPort, Scenario: "nosuch"})
	var refused *gosfclient.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, "unknown_scenario", refused.Code)
	assert.Equal(t, "scenario", refused.Field)

	stop()
	select {
	case <-w.Lost():
	case <-time.After(time.Minute):
		t.Error("the watcher has not noticed that the server is gone")
	}
	w.Close()
	w.Close()
	_, err = gosfclient.Watch(host, port, false, func(string, string) {})
	assert.Error(t, err)
}

// caller stands for a microservice.
type caller func(endpoint string, message *gosf.Message) (*gosf.Message, error)

func (f caller) Call(endpoint string, message *gosf.Message) (*gosf.Message, error) {
	return f(endpoint, message)
}

func TestFailures(t *testing.T) {
	timeout := errors.New("Timeout")
	client := gosfclient.New(caller(func(string, *gosf.Message) (*gosf.Message, error) { return nil, timeout }))
	assert.ErrorIs(t, client.Stop("x"), timeout)
	_, err := client.List()
	assert.ErrorIs(t, err, timeout)

	client = gosfclient.New(caller(func(string, *gosf.Message) (*gosf.Message, error) {
		return gosf.NewFailureMessage("not today"), nil
	}))
	assert.EqualError(t, client.Stop("x"), "not today")

	client = gosfclient.New(caller(func(string, *gosf.Message) (*gosf.Message, error) {
		return gosf.NewSuccessMessage("", map[string]any{"x": 1, "scenarios": 2}), nil
	}))
	_, err = client.List()
	assert.Error(t, err)
	_, err = client.Scenarios()
	assert.Error(t, err)
}

func ExampleNew() {
	// A gosf program registers the load generator once:
	//
	//	gosf.RegisterMicroservice("loadgen", "localhost", 8999, false)
	//	ms := gosf.GetMicroservice("loadgen")
	ms := caller(func(endpoint string, m *gosf.Message) (*gosf.Message, error) {
		fmt.Println(endpoint, m.Body["job"], m.Body["workers"])
		return gosf.NewSuccessMessage(), nil
	})
	client := gosfclient.New(ms)
	if err := client.Start(gosfclient.Job{Job: "opbeans-python", Port: "8000", Workers: 3}); err != nil {
		fmt.Println(err)
	}
	// Output: start opbeans-python 3
}

func ExampleWatch() {
	w, err := gosfclient.Watch("localhost", 8999, false, func(job, change string) {
		fmt.Println(job, change) // such as: python start
	})
	if err != nil {
		return
	}
	defer w.Close()
	<-w.Lost()
}
