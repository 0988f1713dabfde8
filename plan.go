package loadgen

import (
	crand "crypto/rand"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"sort"
	"time"

	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/feed"
	"github.com/opbeans/loadgen/internal/scenariofile"
	"github.com/opbeans/loadgen/internal/schedule"
	"github.com/opbeans/loadgen/internal/secrets"
)

// plan is one revision of a job, ready to run: nothing in it changes, so that all
// VUs share it. A VU takes the newest plan at the start of each iteration.
type plan struct {
	revision uint64
	cfg      JobConfig // with defaults filled in; read only
	base     *url.URL
	target   *client.Target
	vars     map[string]any // by name, both names of an alias; read only
	secrets  map[string]string
	mask     *secrets.Mask
	rows     int64 // VUs that have a row of their own; 0: any number
	feeds    []*feed.Feed
	hooks    [scenariofile.NumHooks]TaskFunc
	session  sessionKey

	newSession bool // each iteration has a session of its own
	tasks      []planTask
	sums       []float64          // sums[i] is the weight of tasks[0..i] together
	verdicts   []Threshold        // those of the job and of its scenario
	sched      *schedule.Schedule // of the open model; nil in the closed one
	staged     time.Duration      // when its stages began, since the job's start
	end        time.Duration      // no iteration begins that is due at or after it
}

// iterations is how many there are to be, 0 for no limit.
func (p *plan) iterations() uint64 { return p.cfg.Segment.ShareOf(p.cfg.MaxIterations) }

// time sets when the stages of the plan begin, and when it ends.
func (p *plan) time(staged time.Duration) {
	p.staged, p.end = staged, math.MaxInt64
	switch {
	case p.cfg.Duration > 0:
		p.end = p.cfg.Duration
	case len(p.cfg.Stages) > 0:
		p.end = staged + p.cfg.stagesLength()
	}
}

// take makes the tasks of a bound scenario those of the plan.
func (p *plan) take(b bound) {
	p.vars, p.secrets, p.mask, p.hooks = b.vars, b.secrets, b.mask, b.hooks
	var sum float64
	for _, t := range b.tasks {
		sum += t.weight
		p.tasks = append(p.tasks, planTask{name: t.name, run: t.run})
		p.sums = append(p.sums, sum)
	}
}

// planTask is a task that can be picked.
type planTask struct {
	name string
	run  TaskFunc
	stat int32 // its number in the recorder
}

// pick draws a task by weight.
func (p *plan) pick(r *rand.Rand) *planTask {
	if len(p.tasks) == 1 {
		return &p.tasks[0]
	}
	x := r.Float64() * p.sums[len(p.sums)-1]
	i := sort.Search(len(p.sums), func(i int) bool { return p.sums[i] > x })
	return &p.tasks[min(i, len(p.tasks)-1)]
}

// randomSeed draws a seed that is not zero, and that survives JSON readers which
// know only floating point.
func randomSeed() uint64 {
	var b [8]byte
	_, _ = crand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])>>12 | 1
}

// clone returns a copy of s that later additions to s do not reach.
func (s *Scenario) clone() *Scenario {
	c := *s
	c.variables = slices.Clone(s.variables)
	c.tasks = slices.Clone(s.tasks)
	c.thresholds = slices.Clone(s.thresholds)
	c.secrets = slices.Clone(s.secrets)
	c.feeders = slices.Clone(s.feeders)
	return &c
}
