// Command session shows a task with a session: each virtual user logs in once,
// keeps its cookie and a token, and shops with them in every later iteration.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/opbeans/loadgen"
)

func main() {
	url := flag.String("url", "http://localhost:8080", "the shop's base URL")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	snap, err := loadgen.Run(ctx, loadgen.JobConfig{
		Scenario: shop(),
		BaseURL:  *url,
		Workers:  20,
		RampUp:   5 * time.Second,
		Duration: 30 * time.Second,
	})
	if snap == nil {
		log.Fatal(err)
	}
	for _, t := range snap.Tasks {
		fmt.Printf("%-8s %6d iterations, %d failed, p50 %s, p99 %s\n",
			t.Task, t.Iterations, t.FailedIterations, t.Response.P50(), t.Response.P99())
	}
}

// shop is people who log in, look around, and sometimes buy.
func shop() *loadgen.Scenario {
	return loadgen.NewScenario("shop").
		Task("browse", 4, loggedIn(browse)).
		Task("buy", 1, loggedIn(buy))
}

// loggedIn makes sure that the VU has a session before the task runs. The cookie
// that the login sets stays with the VU by itself; the token is kept by hand.
func loggedIn(task loadgen.TaskFunc) loadgen.TaskFunc {
	return func(ctx context.Context, vu *loadgen.VU) error {
		if vu.Value("token") != nil {
			return task(ctx, vu)
		}
		resp, err := vu.Do(ctx, &loadgen.Request{
			Method:   http.MethodPost,
			URL:      "/login",
			Header:   http.Header{"Content-Type": {"application/json"}},
			Body:     fmt.Appendf(nil, `{"user":"user-%d"}`, vu.ID()),
			Expect:   loadgen.ExpectStatus(http.StatusOK),
			ReadBody: true,
		})
		if err != nil {
			return err
		}
		var answer struct {
			Token string `json:"token"`
		}
		if err := json.Unmarshal(resp.Body, &answer); err != nil {
			return vu.Check(false, "the login's answer is not JSON: %v", err)
		}
		if err := vu.Check(answer.Token != "", "the login gave no token"); err != nil {
			return err
		}
		vu.SetValue("token", answer.Token)
		return task(ctx, vu)
	}
}

func browse(ctx context.Context, vu *loadgen.VU) error {
	if err := vu.Get(ctx, "/products"); err != nil {
		return err
	}
	think := 100*time.Millisecond + time.Duration(vu.Rand().Int64N(int64(400*time.Millisecond)))
	if err := vu.Sleep(ctx, think); err != nil {
		return err
	}
	return vu.Get(ctx, fmt.Sprintf("/products/%d", 1+vu.Rand().IntN(6)))
}

func buy(ctx context.Context, vu *loadgen.VU) error {
	_, err := vu.Do(ctx, &loadgen.Request{
		Method: http.MethodPost,
		URL:    "/orders",
		Header: http.Header{
			"Authorization": {"Bearer " + vu.Value("token").(string)},
			"Content-Type":  {"application/json"},
		},
		Body:   fmt.Appendf(nil, `{"product":%d,"amount":%d}`, 1+vu.Rand().IntN(6), 1+vu.Rand().IntN(4)),
		Expect: loadgen.ExpectStatus(http.StatusCreated),
	})
	return err
}
