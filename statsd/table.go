package statsd

import (
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/opbeans/loadgen"
)

// maxBuckets bounds the names that are kept; when there are more, all are forgotten
// and made again as needed.
const maxBuckets = 1 << 14

// sink takes what a table has counted.
type sink interface {
	// timing takes one timing that stands for so many.
	timing(bucket string, took time.Duration, standsFor int)
	count(bucket string, n int)
	gauge(bucket, value string)
	flush()
	// full tells whether the sink would rather be given nothing now.
	full() bool
}

// table counts requests by bucket. As long as there were no more than the limit within
// the last second, they are passed on at once, one by one. Beyond that, counts are added
// up, and of each so many timings of a bucket one is passed on, picked at random, such
// that about as many as the limit are. What was added up follows at the next flush, or,
// where that is so much that it would cost more than what it replaces, within a second.
type table struct {
	buckets map[key]*bucket
	dirty   []*bucket // with something added up
	out     sink
	limit   int // requests a second; 0: no limit
	every   int // one of so many timings is passed on
	seen    int // requests since the last flush
	before  int // requests between so many flushes before that as make a second with it
	flushes [perSecond]int
	flushed int
	written int // when all that was added up was passed on, in flushes
	rand    *rand.Rand
}

const perSecond = int(time.Second / flushEvery) // flushes

type bucket struct {
	name    string
	outcome []outcome // few: one for each status and class seen
	held    time.Duration
	behind  int // timings that the held one stands for
	dirty   bool
}

// outcome is a status, or a class of failure.
type outcome struct {
	status int
	class  loadgen.ErrorClass
	name   string
	n      int // added up
}

func newTable(out sink, limit int) table {
	return table{
		buckets: map[key]*bucket{}, out: out, limit: limit, every: 1,
		rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// open makes the bucket of a name.
func (t *table) open(k key, name string) *bucket {
	if len(t.buckets) >= maxBuckets {
		t.reset()
	}
	b := &bucket{name: name}
	t.buckets[k] = b
	return b
}

// reset forgets all names.
func (t *table) reset() {
	t.write()
	clear(t.buckets)
}

// count takes a request. failed is the class to count besides its status, if any.
func (t *table) count(b *bucket, req *request, failed loadgen.ErrorClass) {
	t.seen++
	if t.limit > 0 && t.before+t.seen > t.every*t.limit {
		t.every++
	}
	if req.status != 0 {
		t.time(b, req.took)
		t.add(b, req.status, loadgen.ClassNone)
	}
	if failed != loadgen.ClassNone {
		t.add(b, 0, failed)
	}
}

// time takes a timing.
func (t *table) time(b *bucket, took time.Duration) {
	b.behind++
	if b.behind == 1 || t.rand.IntN(b.behind) == 0 {
		b.held = took
	}
	if b.behind < t.every {
		t.mark(b)
		return
	}
	t.out.timing(b.name, b.held, b.behind)
	b.behind = 0
}

// add takes a count.
func (t *table) add(b *bucket, status int, class loadgen.ErrorClass) {
	o := b.find(status, class)
	if t.every > 1 {
		o.n++
		t.mark(b)
		return
	}
	t.out.count(o.name, 1)
}

func (t *table) mark(b *bucket) {
	if !b.dirty {
		b.dirty = true
		t.dirty = append(t.dirty, b)
	}
}

func (b *bucket) find(status int, class loadgen.ErrorClass) *outcome {
	for i := range b.outcome {
		if o := &b.outcome[i]; o.status == status && o.class == class {
			return o
		}
	}
	suffix := ".err_" + label(string(class))
	if class == loadgen.ClassNone {
		suffix = "." + strconv.Itoa(status)
	}
	b.outcome = append(b.outcome, outcome{status: status, class: class, name: b.name + suffix})
	return &b.outcome[len(b.outcome)-1]
}

// flush passes on what was added up if that is due, as it is the last time, and begins
// to count requests anew. What the sink has no room for stays added up.
func (t *table) flush(last bool) {
	now := t.flushed % perSecond
	t.flushed++
	t.flushes[now] = t.seen
	second := t.before + t.seen
	t.before, t.seen = second-t.flushes[t.flushed%perSecond], 0
	t.every = 1
	if t.limit > 0 {
		t.every = max(1, (second+t.limit-1)/t.limit)
	}
	due := last || t.flushed-t.written >= perSecond || len(t.dirty) <= t.limit/perSecond
	if due && !t.out.full() {
		t.write()
	}
	t.out.flush()
}

// write passes on what was added up.
func (t *table) write() {
	for i, b := range t.dirty {
		if b.behind > 0 {
			t.out.timing(b.name, b.held, b.behind)
			b.behind = 0
		}
		for j := range b.outcome {
			if o := &b.outcome[j]; o.n > 0 {
				t.out.count(o.name, o.n)
				o.n = 0
			}
		}
		b.dirty = false
		t.dirty[i] = nil
	}
	t.dirty = t.dirty[:0]
	t.written = t.flushed
}
