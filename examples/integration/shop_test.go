// Package integration shows how a service's own test drives it with load and
// asserts on what was measured.
package integration

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/loadtest"
)

// stock is the service under test: a counter that must not lose a sale.
type stock struct {
	mu   sync.Mutex
	left int
}

func (s *stock) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodGet:
		w.WriteHeader(http.StatusOK)
	case s.left == 0:
		w.WriteHeader(http.StatusConflict) // sold out
	default:
		s.left--
		w.WriteHeader(http.StatusCreated)
	}
}

// TestStockUnderLoad sells more than there is to many customers at the same time.
func TestStockUnderLoad(t *testing.T) {
	service := &stock{left: 100}
	target := httptest.NewServer(service)
	defer target.Close()

	shop := loadgen.NewScenario("shop").
		Task("look", 1, func(ctx context.Context, vu *loadgen.VU) error { return vu.Get(ctx, "/stock") }).
		Task("buy", 1, func(ctx context.Context, vu *loadgen.VU) error {
			_, err := vu.Do(ctx, &loadgen.Request{
				Method: http.MethodPost,
				URL:    "/stock",
				Expect: loadgen.ExpectStatus(http.StatusCreated, http.StatusConflict),
			})
			return err
		})

	snap := loadtest.Run(t, loadgen.JobConfig{
		Scenario:      shop,
		BaseURL:       target.URL,
		Workers:       8,
		MaxIterations: 1000,
		Seed:          1, // the same picks in every run of the test
	}, loadtest.NoFailures(), loadtest.P95Below(2*time.Second))

	assert.EqualValues(t, 1000, snap.Iterations)
	assert.EqualValues(t, 100, snap.Status[http.StatusCreated], "each item is sold once")
	assert.Zero(t, service.left)
}
