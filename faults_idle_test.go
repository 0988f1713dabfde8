package loadgen

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/faultnet"
	"github.com/opbeans/loadgen/internal/testtarget"
)

// What a target does to connections that are idle fails no request, and is counted nowhere: the
// totals are those of the target.
func TestFaultsOfIdleConnectionsCostNothing(t *testing.T) {
	over := func(ctx context.Context, vu *VU) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, vu.BaseURL()+"/0", nil)
		if err != nil {
			return err
		}
		resp, err := vu.HTTPClient().Do(req)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	post := func(ctx context.Context, vu *VU) error {
		_, err := vu.Do(ctx, &Request{Method: http.MethodPost, URL: "/0", Body: []byte("x")})
		return err
	}
	ca := testtarget.NewAuthority(t, "test")
	cert := ca.Issue("server")
	for _, fault := range []faultnet.Fault{faultnet.Late408, faultnet.LateBytes, faultnet.QuietClose} {
		for name, c := range map[string]struct {
			reuse Reuse
			tls   bool
			task  TaskFunc
		}{
			"own":        {ReuseVU, false, nil},
			"shared":     {ReuseShared, false, nil},
			"TLS":        {ReuseVU, true, nil},
			"shared TLS": {ReuseShared, true, nil},
			"HTTPClient": {ReuseVU, false, over},
			"POST":       {ReuseVU, false, post},
		} {
			t.Run(string(fault)+"/"+name, func(t *testing.T) {
				t.Parallel()
				s, err := faultnet.New()
				if c.tls {
					s, err = faultnet.NewTLS(&cert, &cert)
				}
				require.NoError(t, err)
				defer s.Close()
				s.Set(fault)
				scenario := visiting()
				if c.task != nil {
					scenario = NewScenario("visit").Task("visit", 1, c.task)
				}
				snap, err := Run(t.Context(), JobConfig{
					Scenario: scenario, BaseURL: s.URL(), Workers: 3, MaxIterations: 60, Delay: 2 * 10 * time.Millisecond,
					Client: ClientConfig{Reuse: c.reuse},
				}, WithTLSConfig(&tls.Config{RootCAs: ca.Pool()}))
				require.NoError(t, err)
				assert.Zero(t, snap.FailedRequests, "%v", snap.Errors)
				assert.EqualValues(t, 60, snap.Requests)
				assert.Equal(t, s.Requests(), snap.Requests)
			})
		}
	}
}

// An answer that does not wait for the body of the request is read at once.
func TestEarlyAnswersAreReadAtOnce(t *testing.T) {
	ca := testtarget.NewAuthority(t, "test")
	cert := ca.Issue("server")
	for _, encrypted := range []bool{false, true} {
		s, err := faultnet.New()
		if encrypted {
			s, err = faultnet.NewTLS(&cert, &cert)
		}
		require.NoError(t, err)
		defer s.Close()
		s.Set(faultnet.Early)
		upload := NewScenario("upload").Task("upload", 1, func(ctx context.Context, vu *VU) error {
			_, err := vu.Do(ctx, &Request{Method: http.MethodPost, URL: "/", Body: make([]byte, 16<<20), Expect: func(status int) bool { return status == http.StatusRequestEntityTooLarge }})
			return err
		})
		snap, err := Run(t.Context(), JobConfig{Scenario: upload, BaseURL: s.URL(), MaxIterations: 3}, WithTLSConfig(&tls.Config{RootCAs: ca.Pool()}))
		require.NoError(t, err)
		assert.Equal(t, map[int]uint64{413: 3}, snap.Status)
		assert.Zero(t, snap.FailedRequests, "%v", snap.Errors)
		assert.Less(t, snap.Service.Max(), 30*time.Second)
	}
}
