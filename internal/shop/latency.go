package shop

import (
	"math"
	"net/http"
	"time"
)

// The latencies of a route are spread log-normally around its typical one, which
// is their median, and one in slowOneIn takes slowFactor times as long: a lock, a
// cold cache, a collection of garbage.
const (
	latencySpread = 0.4 // two thirds are between 1/1.5 and 1.5 times the typical
	slowOneIn     = 200
	slowFactor    = 8
)

// latency draws how long a request takes.
func (s *Shop) latency(typical time.Duration) time.Duration {
	if s.opts.Latency <= 0 || typical == 0 {
		return 0
	}
	u := s.uniform()
	factor := s.opts.Latency
	if slow := u * slowOneIn; slow < 1 {
		u = slow // uniform again, below one
		factor *= slowFactor
	} else {
		u = (u - 1.0/slowOneIn) / (1 - 1.0/slowOneIn)
	}
	// Far from the ends, so that no draw is infinite: 4 standard deviations.
	u = min(max(u, 3e-5), 1-3e-5)
	normal := math.Sqrt2 * math.Erfinv(2*u-1)
	return time.Duration(float64(typical) * factor * math.Exp(latencySpread*normal))
}

// uniform draws a number from 0 to below 1. It is one atomic addition and a hash,
// so that any number of requests draw without waiting for each other.
func (s *Shop) uniform() float64 {
	return float64(mix(s.opts.Seed+s.luck.Add(1)*0x9e3779b97f4a7c15)>>11) / (1 << 53)
}

// mix is the finalizer of SplitMix64: every bit of x changes half of the result.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// sleep waits, and tells whether the client is still there afterwards.
func sleep(r *http.Request, d time.Duration) bool {
	ctx := r.Context()
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
