package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/httpapi"
	"github.com/opbeans/loadgen/scenarios"
)

// The API among the pages of another program, under a prefix.
func Example() {
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	mux := http.NewServeMux()
	mux.Handle("/load/", http.StripPrefix("/load", httpapi.New(m)))
	server := httptest.NewServer(mux)
	defer server.Close()

	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/load/api/scenarios", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: {"scenarios":["molotov_scenarios","dyno","high_error_rates"]} <nil>
}

func ExampleNew() {
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	api := httpapi.New(m,
		httpapi.WithTarget("http://toxi:{port}"),             // where jobs that are started by port lead
		httpapi.WithOrigins("http://suite.example.com:9000"), // whose pages may steer it
	)
	server := &http.Server{Addr: "127.0.0.1:8999", Handler: api}
	fmt.Println(server.Addr)
	// Output: 127.0.0.1:8999
}

// The same calls for another transport.
func ExampleAPI_Call() {
	m := loadgen.New(loadgen.WithScenarios(scenarios.FS))
	defer m.Close()
	api := httpapi.New(m)
	ctx := context.Background()

	_, err := api.Call(ctx, "update", json.RawMessage(`{"job":"opbeans-python","workers":"4"}`))
	fmt.Println(err, api.List()["python"].Running)

	_, err = api.Call(ctx, "start", json.RawMessage(`{"job":"opbeans-python"}`))
	var refused *httpapi.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Code, refused.Field)
	}
	// Output:
	// <nil> false
	// 400 missing_field port
}
