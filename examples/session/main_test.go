package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen"
)

// TestSession runs the scenario against a shop that turns away whoever has no
// session, and checks that each VU logged in exactly once.
func TestSession(t *testing.T) {
	var logins atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, _ *http.Request) {
		n := logins.Add(1)
		http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(n)})
		fmt.Fprintf(w, `{"token":"token-%d"}`, n)
	})
	mux.HandleFunc("GET /products", withSession(func(http.ResponseWriter, *http.Request, string) {}))
	mux.HandleFunc("GET /products/{id}", withSession(func(http.ResponseWriter, *http.Request, string) {}))
	mux.HandleFunc("POST /orders", withSession(func(w http.ResponseWriter, r *http.Request, session string) {
		if r.Header.Get("Authorization") != "Bearer token-"+session {
			http.Error(w, "the token is not of this session", http.StatusForbidden)
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	target := httptest.NewServer(mux)
	defer target.Close()

	snap, err := loadgen.Run(t.Context(), loadgen.JobConfig{
		Scenario:      shop(),
		BaseURL:       target.URL,
		Workers:       4,
		MaxIterations: 40,
		Weights:       map[string]float64{"browse": 1, "buy": 4}, // less thinking
		Seed:          1,
	})
	require.NoError(t, err)
	assert.EqualValues(t, 40, snap.Iterations)
	assert.Zero(t, snap.FailedIterations, "%v", snap.Errors)
	assert.LessOrEqual(t, logins.Load(), int64(4), "one login for each VU")
	assert.Positive(t, snap.Status[http.StatusCreated], "somebody bought something")
}

func withSession(next func(w http.ResponseWriter, r *http.Request, session string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		next(w, r, cookie.Value)
	}
}
