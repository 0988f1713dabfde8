package statsd

import (
	"context"
	"strconv"
	"time"

	"github.com/opbeans/loadgen"
)

const gaugesEvery = time.Second

// watch writes the gauges of m's jobs until ctx is done or the core is closed.
func (c *core) watch(ctx context.Context, m *loadgen.Manager) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.feeders.Go(func() {
		ticker := time.NewTicker(gaugesEvery)
		defer ticker.Stop()
		active := map[string]bool{}
		for {
			c.gauges(m, active)
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			case <-c.ctx.Done():
				c.gauges(m, active)
				return
			}
		}
	})
}

// gauges writes the gauges of the jobs that are active, and of those that were the
// last time.
func (c *core) gauges(m *loadgen.Manager, active map[string]bool) {
	for _, j := range m.List() {
		name := j.Name()
		if now := j.State().Active(); now {
			active[name] = true
		} else if !active[name] {
			continue
		}
		s := j.Snapshot()
		if !s.State.Active() {
			s.Workers = 0
			delete(active, name)
		}
		c.gauge(name, s)
	}
}

func (c *core) gauge(job string, s *loadgen.Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	tree, out := c.own(job)+".", c.table.out
	out.gauge(tree+"workers", strconv.Itoa(s.Workers))
	out.gauge(tree+"vus", strconv.Itoa(s.VUs))
	out.gauge(tree+"active", strconv.Itoa(s.Active))
	out.gauge(tree+"rate", strconv.FormatFloat(s.Recent.Iterations, 'f', 1, 64))
}
