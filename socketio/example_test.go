package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/socketio"
)

// A server is mounted where clients look for it, beside whatever else there is.
func ExampleNew() {
	manager := loadgen.New()
	live := socketio.New(manager)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", live)

	// What the first request of every client gets: a session.
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil))
	fmt.Println(answer.Code, answer.Body.String()[:8], live.Sessions())

	manager.Close() // first, so that clients hear how jobs ended
	live.Close()    // then this, which lets waiting requests go; then the http.Server
	fmt.Println(live.Sessions())
	// Output:
	// 200 0{"sid": 1
	// 0
}

// Calls usually are those of the HTTP API, by the method Call of package httpapi's
// API; anything of the same form will do.
func ExampleWithCalls() {
	manager := loadgen.New()
	defer manager.Close()
	live := socketio.New(manager, socketio.WithCalls(func(_ context.Context, name string, body json.RawMessage) (any, error) {
		if name != "list" {
			return nil, fmt.Errorf("this server cannot %s", name)
		}
		return map[string]string{}, nil
	}))
	defer live.Close()
}

func ExampleWithOrigins() {
	manager := loadgen.New()
	defer manager.Close()
	live := socketio.New(manager,
		socketio.WithOrigins("https://dashboard.example.com", "http://localhost:*"),
		socketio.WithMaxSessions(500),
		socketio.WithPing(10*time.Second, 5*time.Second),
	)
	defer live.Close()
}
