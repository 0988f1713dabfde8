package dashboard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/opbeans/loadgen/dashboard"
)

// The page is at /load/, where a program has the API of package httpapi and the stream of
// package socketio, too: examples/embed is such a program.
func ExampleNew() {
	load := http.NewServeMux()
	load.Handle("/", dashboard.New()) // beside /api/ and /socket.io/
	mux := http.NewServeMux()
	mux.Handle("/load/", http.StripPrefix("/load", load))

	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/load/", nil))
	fmt.Println(answer.Code, answer.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}
