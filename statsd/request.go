package statsd

import (
	"net/netip"
	"time"

	"github.com/opbeans/loadgen"
)

// request is one request as a whole, redirects included.
type request struct {
	job, scenario, task string
	method, host, path  string     // of the first hop
	remote              netip.Addr // likewise, if it is known
	took                time.Duration
	status              int // of the last hop; 0: no response
	class               loadgen.ErrorClass
}

// maxChains bounds the chains of redirects under way, as many as VUs at most. Chains
// are lost only when there are more.
const maxChains = 1 << 16

// chains keeps the first hop of requests that redirects lead on, by the VU.
type chains map[vuID]first

type vuID struct {
	job string
	vu  int
}

type first struct {
	method, host, path string
	remote             netip.Addr
	start              time.Time
}

// take returns the request that a sample is, or is the end of; false if more of it is
// to come.
func (c chains) take(s *loadgen.Sample) (request, bool) {
	req := request{
		job: s.Job, scenario: s.Scenario, task: s.Task, method: s.Method, host: s.URL.Host, path: s.URL.Path, remote: s.Remote,
		took: s.Header, status: s.Status, class: s.Class,
	}
	if s.Hop == 0 && !s.Follows {
		return req, true
	}
	id := vuID{s.Job, s.VU}
	if s.Hop == 0 {
		if len(c) >= maxChains {
			clear(c)
		}
		c[id] = first{s.Method, s.URL.Host, s.URL.Path, s.Remote, s.Start}
		return request{}, false
	}
	if s.Follows {
		return request{}, false
	}
	if f, ok := c[id]; ok { // else its beginning was missed
		req.method, req.host, req.path, req.remote = f.method, f.host, f.path, f.remote
		req.took += s.Start.Sub(f.start)
		delete(c, id)
	}
	return req, true
}

// failure is the class under which a request is to be counted as failed, if any. A
// response that was merely unexpected is none where names are Molotov's, which knew
// none of that.
func (n *namer) failure(req *request) loadgen.ErrorClass {
	if req.class == loadgen.ClassCheck && req.status != 0 && n.form != NamesLoadgen {
		return loadgen.ClassNone
	}
	return req.class
}
