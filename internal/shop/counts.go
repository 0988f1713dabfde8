package shop

// Key is what requests are counted by.
type Key struct {
	// Route is a method and a path with the names of its parameters, for
	// instance "GET /api/products/{id}"; "/" counts what no route takes.
	Route  string
	Status int
}

// Counts is a number of requests by route and status. What has not been asked for
// has no entry.
type Counts map[Key]uint64

// Counts returns how many requests were answered so far. Each is counted just
// before its answer is written.
func (s *Shop) Counts() Counts {
	counts := Counts{}
	for _, rt := range s.routes {
		for status := range rt.counts {
			if n := rt.counts[status].Load(); n > 0 {
				counts[Key{routeName(rt.pattern), status}] = n
			}
		}
	}
	return counts
}

// routeName is a pattern without the sign for "exactly this path".
func routeName(pattern string) string {
	if pattern == "GET /{$}" {
		return "GET /"
	}
	return pattern
}

// Total is the number of all requests.
func (c Counts) Total() uint64 {
	return c.sum(func(Key) bool { return true })
}

// Status is the number of requests that were answered with a status.
func (c Counts) Status(code int) uint64 {
	return c.sum(func(k Key) bool { return k.Status == code })
}

// Route is the number of requests of a route, whatever the status.
func (c Counts) Route(name string) uint64 {
	return c.sum(func(k Key) bool { return k.Route == name })
}

func (c Counts) sum(of func(Key) bool) (n uint64) {
	for k, m := range c {
		if of(k) {
			n += m
		}
	}
	return n
}
