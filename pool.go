package loadgen

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/opbeans/loadgen/failure"
	"github.com/opbeans/loadgen/internal/client"
	"github.com/opbeans/loadgen/internal/meter"
	"github.com/opbeans/loadgen/internal/schedule"
	"github.com/opbeans/loadgen/internal/secrets"
	"github.com/opbeans/loadgen/internal/textkit"
)

// limit is the number of VUs that may exist under a plan.
func (j *Job) limit(p *plan) int {
	if p.sched != nil {
		most := p.cfg.MaxWorkers
		if p.rows > 0 {
			most = int(min(int64(most), p.rows))
		}
		return p.cfg.Segment.Share(most)
	}
	return int(j.size.Load())
}

// resize changes the number of VUs of a job that follows stages.
func (j *Job) resize(p *plan, workers int) {
	if int(j.size.Load()) == workers {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.plan.Load() != p || j.status.State != StateRunning {
		return
	}
	j.size.Store(int64(workers))
	j.populate(p)
	j.wakeFrom(workers) // those that are to leave; a ramp has too many steps to wake all
}

// populate makes the number of VUs that the job is to have exist; j is locked.
// Those beyond it leave by themselves after their iteration.
func (j *Job) populate(p *plan) {
	for id := range int(j.size.Load()) {
		if id == len(j.vus) {
			j.vus = append(j.vus, nil)
		}
		if j.vus[id] == nil && !j.spawn(p, id) {
			return
		}
	}
}

// spawn starts the VU of a free seat, unless there are as many as there may be, all
// jobs together; j is locked.
func (j *Job) spawn(p *plan, seat int) bool {
	switch {
	case j.reserved > 0:
		j.reserved--
	case j.m.env.reserve(1) != nil:
		j.short.workers.Store(true)
		return false
	}
	id := p.cfg.Segment.Number(seat)
	vu := &VU{
		id: id, seat: seat, job: j, plan: p, ctx: j.ending.hard,
		stripe:    j.rec.Stripe(seat),
		rest:      rest{wake: make(chan struct{}, 1)},
		awaited:   -1,
		freeSince: j.elapsed(),
	}
	// A VU that takes the place of one that has left draws other values.
	stream := uint64(id)
	if j.spawned > uint64(seat) {
		stream |= (j.spawned - uint64(seat)) << 32
	}
	j.spawned++
	vu.stream = j.stream(stream)
	vu.rand = rand.New(rand.NewPCG(p.cfg.Seed, stream))
	vu.client = client.New(vu.ctx, (*vuOwner)(vu), &j.shared)
	if p.sched == nil && p.cfg.RampUp > 0 {
		vu.freeSince = max(vu.freeSince, spread(p.cfg.RampUp, id, p.cfg.Workers))
	}
	if p.sched == nil && j.phase > 0 {
		vu.freeSince += spread(j.phase, 2*seat+1, 2*max(int(j.size.Load()), seat+1))
	}
	j.vus[seat] = vu
	j.live.Add(1)
	go vu.loop()
	return true
}

// spread is when VU id of n begins, if they begin evenly over a time.
func spread(over time.Duration, id, n int) time.Duration {
	whole, rest := over/time.Duration(n), over%time.Duration(n)
	return whole*time.Duration(id) + rest*time.Duration(id)/time.Duration(n)
}

// grow adds one VU to a job with a rate, unless it has all it may have.
func (j *Job) grow() {
	if j.m.env.full() {
		j.short.workers.Store(true)
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.plan.Load()
	if j.ending.reached(endHalted) || p.sched == nil {
		return
	}
	for id, vu := range j.vus {
		if vu == nil && id < j.limit(p) {
			j.spawn(p, id)
			return
		}
	}
	if id := len(j.vus); id < j.limit(p) {
		j.vus = append(j.vus, nil)
		j.spawn(p, id)
	}
}

// leave takes a VU out of the job. It is refused if the VU wanted to leave because
// there were too many, and an update has called for it again.
func (j *Job) leave(vu *VU, retire bool) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if retire && vu.seat < j.limit(j.plan.Load()) {
		return false
	}
	vu.client.Close()
	if vu.slot.OK && !vu.slot.Void() {
		j.giveBack(vu.slot, retire)
	}
	j.vus[vu.seat] = nil
	j.m.env.unreserve(1)
	for n := len(j.vus); n > 0 && j.vus[n-1] == nil; n-- {
		j.vus = j.vus[:n-1]
	}
	if j.live.Add(-1) == 0 && j.status.State == StateStopping {
		close(j.ending.empty)
	}
	return true
}

// giveBack lets somebody else have the slot that a leaving VU had claimed; j is
// locked.
func (j *Job) giveBack(s schedule.Slot, retire bool) {
	switch sched := j.plan.Load().sched; {
	case retire && sched != nil:
		sched.GiveBack(s)
		j.freed.Store(true) // supervise wakes the others, once for many that leave together
		j.replan()
	case s.Due < j.ending.at || retire:
		j.dropped.Add(1)
	}
}

// replan makes supervise look at the plan again, and at what was freed.
func (j *Job) replan() {
	select {
	case j.planned <- struct{}{}:
	default:
	}
}

// wakeAll makes every waiting VU look at the schedule again; j is locked.
func (j *Job) wakeAll() { j.wakeFrom(0) }

// wakeFrom is wakeAll for the seats from one on.
func (j *Job) wakeFrom(seat int) {
	for _, vu := range j.vus[min(seat, len(j.vus)):] {
		if vu != nil && vu.rouse() {
			go vu.loop()
		}
	}
}

// loop is the life of a VU: wait until an iteration is due, run it. It returns when the
// VU has left or rests; then the VU may be another goroutine's already.
func (vu *VU) loop() {
	over := false
	defer func() {
		if !over {
			// The task has ended its goroutine, as FailNow of a test does: that is a
			// failed iteration, and the VU goes on with another goroutine.
			vu.conclude(&Error{Class: ClassTask, Err: errGoexit})
			go vu.loop()
		}
	}()
	for {
		due, ok := vu.await()
		if !ok {
			over = true
			return
		}
		vu.iterate(due)
	}
}

var errGoexit = errors.New("the task ended its goroutine, as runtime.Goexit and FailNow of a test do")

// await waits for the VU's next iteration and returns when that was due. It returns
// false if the goroutine is to end: it has taken the VU out of the job because there is
// no next iteration, or laid it to rest because that is some time away. One loop serves
// both models; they differ in where the due time comes from.
func (vu *VU) await() (time.Duration, bool) {
	j := vu.job
	for {
		vu.plan = j.plan.Load()
		stale := vu.stale()
		if j.ending.reached(endHalted) || stale && j.ending.reached(endDraining) {
			return 0, !vu.quit(false)
		}
		if vu.seat >= j.limit(vu.plan) {
			if vu.quit(true) {
				return 0, false
			}
			continue
		}
		if stale {
			if vu.prepare() {
				return 0, false
			}
			continue
		}
		due, ok := vu.next()
		end := vu.plan.end
		if !ok || due >= end {
			if j.ending.reached(endDraining) {
				return 0, !vu.quit(false)
			}
			// Nothing more to do, unless an update moves the end.
			due, ok = end, false
		}
		left := time.Duration(0)
		if due != vu.freeSince || vu.iteration == 0 { // else it is due since the last one ended
			left = due - j.elapsed()
		}
		if left > 0 {
			vu.awaited = due
			if vu.sleep(left) {
				return 0, false
			}
			continue
		}
		if !ok {
			j.expire(end)
			continue
		}
		if vu.slot.Sched != nil && vu.slot.Void() {
			continue // replaced this moment
		}
		if !j.begin(vu.plan) {
			if j.ending.reached(endDraining) {
				return 0, !vu.quit(false)
			}
			// The job is about to end, unless an update wants more.
			if vu.sleep(math.MaxInt64) {
				return 0, false
			}
			continue
		}
		vu.slot = schedule.Slot{}
		vu.lag, vu.late = -1, false
		if vu.awaited == due {
			vu.lag = -left
		} else if vu.plan.sched != nil {
			vu.late = -left > meter.LateBy
		}
		vu.awaited = -1
		if vu.plan.sched != nil && j.idle.Load() == 0 && j.preparing.Load() == 0 && int(j.live.Load()) < j.limit(vu.plan) {
			j.grow()
		}
		return due, true
	}
}

// next is when the VU's next iteration is due.
func (vu *VU) next() (time.Duration, bool) {
	sched := vu.plan.sched
	if sched == nil {
		if vu.slot.OK && !vu.slot.Void() {
			vu.job.dropped.Add(1) // it was due, and the job is not of the open model any more
		}
		vu.slot = schedule.Slot{}
		if vu.iteration == 0 {
			return vu.freeSince, true
		}
		return vu.freeSince + vu.plan.cfg.Delay, true
	}
	if !vu.slot.Void() {
		if sched.Spare.Load() > 0 {
			vu.slot = sched.Reclaim(vu.slot)
		}
		return vu.slot.Due, vu.slot.OK
	}
	s, ok := sched.Claim()
	if !ok { // replaced this moment: wait until the update is through
		vu.job.mu.Lock()
		vu.plan = vu.job.plan.Load()
		vu.job.mu.Unlock()
		return vu.next()
	}
	vu.slot = s
	return s.Due, s.OK
}

// begin counts an iteration as started, and its VU as active. It refuses one that
// would be beyond the job's number of iterations.
func (j *Job) begin(p *plan) bool {
	j.active.Add(1)
	n := j.begun.Add(1)
	limit := p.iterations()
	if limit == 0 || n <= limit {
		if n == limit {
			j.offered.filled(p, j.elapsed())
		}
		return true
	}
	j.begun.Add(^uint64(0))
	if j.active.Add(-1) == 0 {
		j.complete()
	}
	return false
}

// complete ends the job if it has had all its iterations, the last one just now.
func (j *Job) complete() {
	j.mu.Lock()
	defer j.mu.Unlock()
	limit := j.plan.Load().iterations()
	if limit == 0 || j.begun.Load() < limit || j.active.Load() > 0 || j.status.State != StateRunning {
		return
	}
	j.end(endHalted, StateFinished, fmt.Sprintf("all %d iterations are done", limit))
}

// logFailure logs the first failed iteration of a class, and then one each ten
// seconds with the number of those between.
func (j *Job) logFailure(task string, class ErrorClass, err error) {
	skipped, ok := j.failures[failure.Number(class)].Pass()
	if !ok {
		return
	}
	attrs := []any{"task", task, "class", class, "error", textkit.ErrorMessage(err), "not_logged", skipped}
	if p := panicOf(err); p != nil {
		attrs = append(attrs, "stack", string(p.stack))
	}
	j.log.Warn("iteration failed", attrs...)
}

// panicError is what a task panicked with, and where.
type panicError struct {
	task  string
	value any
	stack []byte
}

// panicOf returns the panic that VU.run has made an error of. It does not look
// further: an error of the user's may panic when asked.
func panicOf(err error) *panicError {
	if m, ok := err.(*secrets.MaskedError); ok { //nolint:errorlint // as said
		err = m.Err
	}
	if e, ok := err.(*Error); ok && e != nil { //nolint:errorlint // as said
		p, _ := e.Err.(*panicError) //nolint:errorlint // as said
		return p
	}
	return nil
}

func (e *panicError) Error() string { return fmt.Sprintf("task %q panicked: %v", e.task, e.value) }
