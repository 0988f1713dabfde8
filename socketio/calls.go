package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/sio/socket"
	"github.com/opbeans/loadgen/internal/textkit"
)

// The events from clients.
const (
	callSubscribe   = "subscribe"
	callUnsubscribe = "unsubscribe"
)

func isCall(name string) bool {
	return slices.Contains([]string{"start", "update", "stop", "stop-all", "renew", "list", "scenarios"}, name)
}

// namePrefix is what a job's name may begin with and loses.
const namePrefix = "opbeans-"

// callError is why this package refuses a call. A refusal of [Calls] looks the same.
type callError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Field   string `json:"field,omitempty"`
}

func (e *callError) Error() string { return e.Message }

// event handles an event of a client, and answers it.
func (s *Server) event(c *socket.Socket, e socket.Event) {
	var body json.RawMessage
	if len(e.Args) > 0 && string(e.Args[0]) != "null" {
		body = e.Args[0]
	}
	form := readStandardForm(body)
	if form != nil {
		body = form.Body
	}
	result, err := s.call(c, e.Name, body)
	answer := result
	switch {
	case form != nil:
		answer = form.answer(result, err)
	case err != nil:
		answer = refusal(err)
	}
	switch {
	case e.Ack != nil:
		e.Ack(answer)
	case form != nil && s.knows(e.Name):
		_ = c.Emit(e.Name, answer) // or it has gone
	}
}

// knows tells whether there is such an event.
func (s *Server) knows(name string) bool {
	return isCall(name) || name == callSubscribe || name == callUnsubscribe
}

// call does what a client asks for.
func (s *Server) call(c *socket.Socket, name string, body json.RawMessage) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a call over Socket.IO panicked", "call", name, "panic", p, "stack", string(debug.Stack()))
			result, err = nil, &callError{Code: "internal", Message: "an internal error, which is not the call's fault; the log has more"}
		}
	}()
	switch {
	case isCall(name) && s.calls != nil:
		return s.calls(s.ctx, name, body)
	case isCall(name):
		return nil, &callError{Code: "not_available", Message: "this server takes no calls"}
	case name == callSubscribe:
		return s.subscribe(c, body)
	case name == callUnsubscribe:
		return s.unsubscribe(c, body)
	}
	return nil, &callError{
		Code:    "unknown_event",
		Message: "there are start, update, stop, list, scenarios, subscribe and unsubscribe, and no " + textkit.Shorten(name),
	}
}

// Subscription is the answer to subscribe and unsubscribe.
type Subscription struct {
	Jobs []string `json:"jobs"` // that the client has chosen, by name; none: it hears of all
}

func (s *Server) subscribe(c *socket.Socket, body json.RawMessage) (any, error) {
	names, err := s.readJobs(body)
	if err == nil && len(names) == 0 {
		err = &callError{Code: "missing_field", Field: "job", Message: "name a job to subscribe to, or several in an array"}
	}
	if err != nil {
		return nil, err
	}
	var jobs []string
	s.socket.Together(func(rooms *socket.Rooms) {
		before := chosen(rooms, c)
		fresh := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(before, name) })
		if len(before)+len(fresh) > MaxSubscriptions {
			err = &callError{Code: "too_many_subscriptions", Field: "job", Message: fmt.Sprintf("at most %d jobs can be chosen", MaxSubscriptions)}
			return
		}
		rooms.Leave(c, roomAllJobs)
		for _, name := range fresh {
			rooms.Join(c, roomJob+name)
		}
		s.feed.tell(c, fresh)
		jobs = chosen(rooms, c)
	})
	return Subscription{Jobs: jobs}, err
}

func (s *Server) unsubscribe(c *socket.Socket, body json.RawMessage) (any, error) {
	names, err := s.readJobs(body)
	if err != nil {
		return nil, err
	}
	var jobs []string
	s.socket.Together(func(rooms *socket.Rooms) {
		before := chosen(rooms, c)
		if len(names) == 0 {
			names = before
		}
		for _, name := range names {
			rooms.Leave(c, roomJob+name)
		}
		if jobs = chosen(rooms, c); len(jobs) == 0 && len(before) > 0 {
			rooms.Join(c, roomAllJobs)
			s.feed.tell(c, s.feed.names()) // it may have missed changes of all others
		}
	})
	return Subscription{Jobs: jobs}, nil
}

// readJobs reads which jobs are meant: a name, an array of names, or {"job": NAME}.
func (s *Server) readJobs(body json.RawMessage) ([]string, error) {
	var one string
	var many []string
	var object struct {
		Job string `json:"job"`
	}
	switch {
	case body == nil:
		return nil, nil
	case json.Unmarshal(body, &one) == nil:
		many = []string{one}
	case json.Unmarshal(body, &many) == nil:
	case json.Unmarshal(body, &object) == nil:
		many = []string{object.Job}
	default:
		return nil, &callError{Code: "invalid_field", Field: "job", Message: `must be a job's name, an array of names, or {"job": NAME}`}
	}
	for i, name := range many {
		if name == "" || len(name) > loadgen.MaxNameLen {
			return nil, &callError{Code: "invalid_field", Field: "job", Message: fmt.Sprintf("a job's name has 1 to %d bytes", loadgen.MaxNameLen)}
		}
		if _, err := s.m.Get(name); err != nil {
			many[i] = strings.TrimPrefix(name, namePrefix)
		}
	}
	slices.Sort(many)
	return slices.Compact(many), nil
}

// refusal is the answer to a call that was refused: {"error":{…}}.
func refusal(err error) any {
	text, jsonErr := json.Marshal(err)
	if jsonErr != nil || !bytes.Contains(text, []byte(`"message"`)) {
		return map[string]any{"error": callError{Code: "failed", Message: err.Error()}}
	}
	return map[string]any{"error": json.RawMessage(text)}
}
