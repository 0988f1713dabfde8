package loadgen_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"testing/fstest"

	"github.com/opbeans/loadgen"
)

func ExampleNewScenario() {
	shop := loadgen.NewScenario("shop").
		Describe("people who look around, and some who buy").
		Variable("CURRENCY", "EUR").
		Task("home", 3, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/") }).
		Task("order", 1, func(ctx context.Context, vu *loadgen.VU) error {
			_, err := vu.Do(ctx, &loadgen.Request{
				Method: http.MethodPost,
				URL:    "/orders?currency=" + vu.Var("CURRENCY"),
				Body:   []byte(`{"amount":1}`),
				Expect: loadgen.ExpectStatus(http.StatusCreated),
			})
			return err
		})
	fmt.Println(shop.Name(), shop.TaskNames())
	// Output: shop [home order]
}

// A scenario from YAML is the same thing as one built in Go.
func ExampleParseScenario() {
	target := newTarget()
	defer target.Close()

	shop, err := loadgen.ParseScenario("shop", []byte(`
variables:
  ITEMS: 6
tasks:
  - name: product
    weight: 3
    request: GET /products/${randint(1, ITEMS)}
  - name: home
    request: GET /
    expect: 200
`))
	if err != nil {
		log.Fatal(err)
	}
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario:      shop,
		BaseURL:       target.URL,
		Variables:     map[string]string{"ITEMS": "3"},
		MaxIterations: 20,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.Requests, snap.FailedRequests)
	// Output: 20 0
}

// Errors in a file say where, and what was expected.
func ExampleParseScenario_error() {
	_, err := loadgen.ParseScenario("shop", []byte("tasks:\n  - name: home\n    request: FETCH /\n"))
	var faulty *loadgen.ScenarioError
	if errors.As(err, &faulty) {
		for _, e := range faulty.Errors {
			fmt.Println("line", e.Line, "column", e.Column)
		}
	}
	// Output: line 3 column 14
}

// Weights tells what the chances of the tasks are under a job's variables.
func ExampleManager_Preview_weights() {
	shop, err := loadgen.ParseScenario("shop", []byte(`
tasks:
  - name: home
    weight: 3
    request: GET /
  - name: oopsie
    when: SERVICE_NAME startsWith "opbeans-python"
    weight: ${ERROR_WEIGHT}
    request: GET /oopsie
    expect: 500
`))
	if err != nil {
		log.Fatal(err)
	}
	m := loadgen.New()
	defer m.Close()
	preview, err := m.Preview(loadgen.JobConfig{
		Scenario:    shop,
		ServiceName: "opbeans-python",
		Variables:   map[string]string{"ERROR_WEIGHT": "0.5"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range preview.Weights {
		fmt.Println(w.Task, w.Weight)
	}
	// Output:
	// home 3
	// oopsie 0.5
}

// A catalogue finds scenarios in folders. A file that does not parse is listed too,
// with what is wrong.
func ExampleCatalogue() {
	folder := fstest.MapFS{
		"shop.yaml":   {Data: []byte("description: just looking\ntasks:\n  - name: home\n    request: GET /\n")},
		"broken.yaml": {Data: []byte("tasks: none\n")},
	}
	catalogue := loadgen.NewCatalogue(folder)
	for _, info := range catalogue.List() {
		fmt.Println(info.Name, info.Description, info.Err != nil)
	}
	_, err := catalogue.Load("../shop")
	fmt.Println(errors.Is(err, loadgen.ErrScenarioNotFound))
	// Output:
	// broken  true
	// shop just looking false
	// true
}

// A task may look at responses, and fail the iteration by what it finds.
func ExampleVU_Do() {
	target := newTarget()
	defer target.Close()

	look := loadgen.NewScenario("look").Task("product", 1, func(ctx context.Context, vu *loadgen.VU) error {
		resp, err := vu.Do(ctx, &loadgen.Request{URL: "/products/1", Expect: loadgen.ExpectSuccess, ReadBody: true})
		if err != nil {
			return err
		}
		var product struct{ Path string }
		if err := json.Unmarshal(resp.Body, &product); err != nil {
			return err
		}
		return vu.Check(product.Path == "/products/2", "got %s", product.Path)
	})
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{Scenario: look, BaseURL: target.URL, MaxIterations: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.FailedIterations, "failed:", snap.Errors[loadgen.ClassCheck].Sample)
	// Output: 2 failed: got /products/1
}

// Code that needs an http.Client gets one, and its requests are measured too.
func ExampleVU_HTTPClient() {
	target := newTarget()
	defer target.Close()

	client := loadgen.NewScenario("client").Task("head", 1, func(ctx context.Context, vu *loadgen.VU) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, vu.BaseURL()+"/", nil)
		if err != nil {
			return err
		}
		resp, err := vu.HTTPClient().Do(req)
		if err != nil {
			return err
		}
		return resp.Body.Close()
	})
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{Scenario: client, BaseURL: target.URL, MaxIterations: 5})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(snap.Requests, snap.Status)
	// Output: 5 map[200:5]
}

// A task that finds the whole run pointless can end it.
func ExampleTaskFunc_abort() {
	closed := loadgen.NewScenario("closed").Task("look", 1, func(context.Context, *loadgen.VU) error {
		return fmt.Errorf("the shop is closed: %w", loadgen.ErrAbort)
	})
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{Scenario: closed, BaseURL: "http://localhost"})
	fmt.Println(err != nil, snap.State, snap.FailedIterations)
	// Output: true failed 1
}
