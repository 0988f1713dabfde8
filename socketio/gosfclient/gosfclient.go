// Package gosfclient steers a load generator from a program that uses gosf
// (https://github.com/ambelovsky/gosf), over the server that package socketio is.
//
//	gosf.RegisterMicroservice("loadgen", "localhost", 8999, false)
//	client := gosfclient.New(gosf.GetMicroservice("loadgen"))
//	err := client.Start(gosfclient.Job{Job: "opbeans-python", Port: "8000"})
//
// A [Client] makes typed calls over the unmodified Microservice.Call of gosf, which
// gives up after two seconds. [Watch] listens to what happens to jobs over
// gosf-socketio, because gosf's own Listen panics on the first event.
//
// gosf resolves only with exact versions; those in this module's go.mod work
// together.
package gosfclient

import (
	"encoding/json"
	"fmt"

	"github.com/ambelovsky/gosf"
)

// Caller makes calls; [*gosf.Microservice] is one.
type Caller interface {
	Call(endpoint string, message *gosf.Message) (*gosf.Message, error)
}

// Client makes typed calls. It is safe for concurrent use, as gosf's calls are.
type Client struct{ caller Caller }

// New returns a client that calls through c, which the caller of New connects and
// disconnects.
func New(c Caller) *Client { return &Client{caller: c} }

// Job is what [Client.Start] and [Client.Update] say of a job. What is left out has
// its default in a start, or stays as it is.
type Job struct {
	Job      string  `json:"job"`            // its name; required
	Port     string  `json:"port,omitempty"` // of the target, on the host that the server was told
	URL      string  `json:"url,omitempty"`  // or the whole base URL, which wins
	Scenario string  `json:"scenario,omitempty"`
	Workers  float64 `json:"workers,omitempty"`
	Delay    string  `json:"delay,omitempty"`    // between iterations of a worker, in seconds ("0.6") or as "600ms"
	Duration string  `json:"duration,omitempty"` // likewise
	Rate     string  `json:"rate,omitempty"`     // such as "100/s", instead of workers and delay

	ErrorWeight *float64          `json:"error_weight,omitempty"`
	Variables   map[string]string `json:"variables,omitempty"`
}

// Listed is what [Client.List] tells of a job.
type Listed struct {
	Running  bool   `json:"running"`
	Name     string `json:"name"`
	Scenario string `json:"scenario"`
	// All has everything that is told, by its key.
	All map[string]any `json:"-"`
}

// Error is a call that the server refused. Nothing has changed then.
type Error struct {
	Code    string `json:"code"`    // for programs, such as missing_field
	Message string `json:"message"` // for people
	Field   string `json:"field"`   // that the error is about, if it is about one
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Start starts a job, or changes it in place if it runs. The error is an [*Error],
// or says why there was no answer.
func (c *Client) Start(job Job) error { return c.call("start", job, nil) }

// Update changes a job in place. The errors are those of [Client.Start].
func (c *Client) Update(job Job) error { return c.call("update", job, nil) }

// Stop stops a job softly and does not wait for it. The errors are those of
// [Client.Start].
func (c *Client) Stop(job string) error { return c.call("stop", Job{Job: job}, nil) }

// List returns all jobs by name. The errors are those of [Client.Start].
func (c *Client) List() (map[string]Listed, error) {
	var raw map[string]json.RawMessage
	if err := c.call("list", nil, &raw); err != nil {
		return nil, err
	}
	jobs := make(map[string]Listed, len(raw))
	for name, text := range raw {
		var j Listed
		if err := json.Unmarshal(text, &j); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		if err := json.Unmarshal(text, &j.All); err != nil {
			return nil, fmt.Errorf("list: %w", err)
		}
		jobs[name] = j
	}
	return jobs, nil
}

// Scenarios returns the names of the scenarios that can be started. The errors are
// those of [Client.Start].
func (c *Client) Scenarios() ([]string, error) {
	var answer struct{ Scenarios []string }
	err := c.call("scenarios", nil, &answer)
	return answer.Scenarios, err
}

// call makes one call, and reads the body of the answer into result.
func (c *Client) call(endpoint string, body, result any) error {
	message := &gosf.Message{}
	if body != nil {
		if err := convert(body, &message.Body); err != nil {
			return fmt.Errorf("%s: %w", endpoint, err)
		}
	}
	answer, err := c.caller.Call(endpoint, message)
	if err != nil {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	if !answer.Success {
		refused := struct{ Error Error }{Error{Message: answer.Text}}
		if err := convert(answer.Body, &refused); err != nil {
			return fmt.Errorf("%s: %w", endpoint, err)
		}
		return &refused.Error
	}
	if result == nil {
		return nil
	}
	if err := convert(answer.Body, result); err != nil {
		return fmt.Errorf("%s: %w", endpoint, err)
	}
	return nil
}

// convert makes another value of the same JSON.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}
