package loadgen_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/opbeans/loadgen"
)

// once runs one iteration of a task against a service that answers "hello".
func once(task loadgen.TaskFunc, opts ...loadgen.Option) *loadgen.Snapshot {
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	defer target.Close()
	snap, err := loadgen.Run(context.Background(), loadgen.JobConfig{
		Scenario: loadgen.NewScenario("example").Task("task", 1, task), BaseURL: target.URL, MaxIterations: 1,
	}, opts...)
	if err != nil {
		panic(err)
	}
	return snap
}

// Check turns a condition on a response into a failure of class check.
func ExampleVU_Check() {
	snap := once(func(ctx context.Context, vu *loadgen.VU) error {
		resp, err := vu.Do(ctx, &loadgen.Request{URL: "/greeting", ReadBody: true})
		if err != nil {
			return err
		}
		return vu.Check(string(resp.Body) == "good day", "greeted with %q", resp.Body)
	})
	fmt.Println(snap.Errors[loadgen.ClassCheck].Count, snap.Errors[loadgen.ClassCheck].Sample)
	// Output: 1 greeted with "hello"
}

// Think time is slept with the VU, so that a stop does not wait for it.
func ExampleVU_Sleep() {
	snap := once(func(ctx context.Context, vu *loadgen.VU) error {
		if err := vu.Get(ctx, "/"); err != nil {
			return err
		}
		if err := vu.Sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		return vu.Get(ctx, "/next")
	})
	fmt.Println(snap.Requests, snap.Response.Min() >= 10*time.Millisecond)
	// Output: 2 true
}

// Values outlive the iteration: what a VU has logged in with, for instance.
func ExampleVU_SetValue() {
	snap := once(func(ctx context.Context, vu *loadgen.VU) error {
		token, ok := vu.Value("token").(string)
		if !ok {
			token = fmt.Sprintf("vu-%d", vu.ID())
			vu.SetValue("token", token)
		}
		_, err := vu.Do(ctx, &loadgen.Request{URL: "/", Header: http.Header{"Authorization": {"Bearer " + token}}})
		return err
	})
	fmt.Println(snap.Status)
	// Output: map[200:1]
}

// The class of an error is what statistics count it by.
func ExampleClassOf() {
	fmt.Println(loadgen.ClassOf(errors.New("no such product")))
	fmt.Println(loadgen.ClassOf(context.DeadlineExceeded))
	fmt.Println(loadgen.ClassOf(fmt.Errorf("login: %w", &loadgen.Error{Class: loadgen.ClassCheck})))
	// Output:
	// task
	// timeout
	// check
}

// Variables can come from the environment; a job's own win over it.
func ExampleWithEnv() {
	shop := loadgen.NewScenario("shop").
		Variable("BUYERS", 1).
		Task("look", 1, func(_ context.Context, vu *loadgen.VU) error {
			fmt.Println(vu.Var("BUYERS"), "buyers")
			return nil
		})
	_, err := loadgen.Run(context.Background(),
		loadgen.JobConfig{Scenario: shop, BaseURL: "http://localhost:8000", MaxIterations: 1},
		loadgen.WithEnv(func(name string) (string, bool) {
			return map[string]string{"BUYERS": "3"}[name], name == "BUYERS"
		}))
	if err != nil {
		log.Fatal(err)
	}
	// Output: 3 buyers
}

// A Manager logs what its jobs do, if it has a logger.
func ExampleWithLogger() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	once(func(context.Context, *loadgen.VU) error { return errors.New("out of stock") }, loadgen.WithLogger(logger))
	// Output: level=WARN msg="iteration failed" job=run task=task class=task error="out of stock" not_logged=0
}

// Stages give the course of a job: here up to 100 a second, on for a while, and down.
func ExampleStage() {
	cfg := loadgen.JobConfig{Stages: []loadgen.Stage{
		{Duration: 10 * time.Second, Rate: loadgen.PerSecond(100)},
		{Duration: 30 * time.Second, Rate: loadgen.PerSecond(100)},
		{Duration: 10 * time.Second},
	}}
	p := cfg.Pacer()
	for _, n := range []uint64{0, 500, 3500} {
		at, _ := p.Due(n)
		fmt.Println(n, at)
	}
	_, more := p.Due(4000)
	fmt.Println(more)
	// Output:
	// 0 0s
	// 500 10s
	// 3500 40s
	// false
}

// Wait returns when every job has ended by itself or was stopped.
func ExampleManager_Wait() {
	m := loadgen.New()
	defer m.Close()
	rest := loadgen.NewScenario("rest").Task("rest", 1, func(context.Context, *loadgen.VU) error { return nil })
	for _, name := range []string{"a", "b"} {
		_, err := m.Start(context.Background(), loadgen.JobConfig{
			Name: name, Scenario: rest, BaseURL: "http://localhost:8000", MaxIterations: 10,
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(m.Wait(context.Background()))
	for _, j := range m.List() {
		fmt.Println(j.Name(), j.State(), j.Status().Reason)
	}
	// Output:
	// <nil>
	// a finished all 10 iterations are done
	// b finished all 10 iterations are done
}
