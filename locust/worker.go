package locust

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/locustwire"
)

// worker is what Run knows. One goroutine, that of Run, does everything but wait for the
// network.
type worker struct {
	m    *loadgen.Manager
	cfg  *Config
	log  *slog.Logger
	line *line
	use  usage

	// What the master knows, or is to know.
	id        string
	number    int // which worker it is to the master
	state     string
	users     map[string]int // by class, as the master gave them
	welcome   bool           // the master has acknowledged this ID
	ever      bool           // a master has
	known     bool           // the master has answered on this connection
	dumb      int            // connections in a row on which it has not
	heard     time.Time      // when there was last a sign of the master
	since     time.Time      // when this connection was made
	asked     time.Time      // when it was last asked to be welcome
	lastSpawn float64        // the timestamp of the latest order
	unsure    bool           // the test may have ended while there was no connection
	doubt     time.Time      // since when the master is back and has not said that it goes on

	// What it does.
	job      *loadgen.Job
	stopping bool                  // the master has ended the test
	orphan   bool                  // the job is of a test whose master is gone: nobody is told of it
	leaving  bool                  // so does the worker
	failed   string                // why the job of this test has ended by itself
	next     *locustwire.SpawnData // an order for when the job before has ended
	before   *loadgen.Snapshot     // of the job, as far as it is in tally
	tally    *tally
	quit     error            // what Run is to return
	hurry    <-chan time.Time // when the master stops listening
	seconds  int              // since the last report
}

func newWorker(m *loadgen.Manager, cfg *Config) *worker {
	return &worker{
		m: m, cfg: cfg, log: cfg.Logger, line: newLine(cfg),
		id: cfg.ID, state: locustwire.StateReady, users: map[string]int{},
		heard: time.Now(), tally: newTally(time.Now()),
	}
}

func (w *worker) run(ctx context.Context) error {
	w.log.Info("looking for the master", "master", w.cfg.Master, "worker", w.id)
	w.line.open(w.id)
	second := time.NewTimer(toNextSecond())
	defer second.Stop()
	leave := ctx.Done()
	for {
		var done <-chan struct{}
		if w.job != nil {
			done = w.job.Done()
		}
		select {
		case e := <-w.line.events:
			w.heardOf(e)
		case <-second.C:
			w.everySecond()
			second.Reset(toNextSecond())
		case <-done:
			w.jobEnded()
		case <-w.hurry:
			w.hurry = nil
			w.measure()
			w.report()
		case <-leave:
			leave = nil
			w.log.Info("leaving the master")
			w.leave(nil)
		}
		if w.leaving && w.job == nil {
			w.report()
			w.send(locustwire.Quit, nil)
			return w.quit
		}
	}
}

// toNextSecond is the time to the next whole second of the clock, so that what happens
// between two of them belongs to one second on the master.
func toNextSecond() time.Duration {
	now := time.Now()
	return now.Truncate(time.Second).Add(time.Second).Sub(now)
}

// heardOf takes what happens on the line.
func (w *worker) heardOf(e lineEvent) {
	switch {
	case e.conn != nil:
		w.line.conn, w.line.pause, w.since = e.conn, redialFirst, time.Now()
		if w.welcome {
			w.log.Info("connected to the master again")
			w.unsure = w.unsure || w.state != locustwire.StateReady && time.Since(w.heard) >= missedAfter
			w.heartbeat()
		} else {
			w.knock()
		}
	case e.msg != nil && e.err != nil:
		w.log.Warn("a message of the master's cannot be read", "error", e.err)
	case e.msg != nil:
		w.heard = time.Now()
		if err := w.obey(e.msg); err != nil {
			w.log.Warn("a message of the master's cannot be read", "error", err)
		}
	default:
		if w.known || w.line.conn != nil {
			w.log.Warn("the connection to the master has broken", "error", e.err)
		}
		w.line.drop()
		w.known = false
		if !w.leaving {
			w.line.open(w.id)
		}
	}
}

// knock asks the master for a welcome.
func (w *worker) knock() {
	w.asked = time.Now()
	w.send(locustwire.ClientReady, locustwire.AnyVersion)
}

// everySecond tells the master that the worker lives and what it does, and looks whether
// the master lives.
func (w *worker) everySecond() {
	w.measure()
	now := time.Now()
	quiet := now.Sub(w.heard)
	patience := joinPatience
	if w.ever {
		patience = lostAfter
	}
	switch {
	case w.leaving:
	case quiet >= patience:
		w.leave(fmt.Errorf("%w: nothing was heard of %s for %s", ErrNoMaster, w.cfg.Master, quiet.Round(time.Second)))
		return
	case w.line.conn == nil:
	case !w.welcome:
		if now.Sub(w.asked) >= readyEvery {
			w.knock()
		}
	case !w.known && now.Sub(w.since) >= dumbAfter:
		if w.dumb++; w.dumb <= dumbMost {
			w.line.drop()
		} else {
			w.rejoin()
		}
	case w.unsure && w.known && now.Sub(w.doubt) >= orderWithin:
		w.log.Warn("the master has given no order since it is back: its test has ended")
		w.end()
	case now.Sub(w.since) >= stuckAfter && quiet >= stuckAfter:
		w.log.Warn("the master is silent; connecting anew", "for", quiet.Round(time.Second))
		w.line.drop()
	}
	if w.welcome {
		w.heartbeat()
	}
	if w.seconds++; w.seconds >= reportEvery {
		w.report()
	}
}

func (w *worker) heartbeat() {
	w.send(locustwire.Heartbeat, locustwire.HeartbeatData{State: w.state, CPU: w.use.cpu(), Memory: memory()})
}

// rejoin begins anew, as another worker: the master there knows nothing of this one, or of
// its test. A new ID, since the master may still keep the connection of the old one.
func (w *worker) rejoin() {
	w.log.Warn("the master does not know this worker, as if it had been started anew: joining as a new one")
	w.id = newID()
	w.welcome, w.known, w.unsure, w.dumb, w.lastSpawn = false, false, false, 0, 0
	w.next, w.stopping, w.state = nil, false, locustwire.StateReady
	w.users = map[string]int{}
	w.tally = newTally(time.Now())
	if w.job != nil {
		w.orphan = true
		w.job.Stop()
	}
	w.heard = time.Now() // there is a master
	w.line.drop()
}

// leave ends the job, and with it the worker.
func (w *worker) leave(why error) {
	w.leaving, w.quit, w.next = true, why, nil
	if w.job != nil {
		w.job.Stop()
	}
}

func (w *worker) send(kind string, data any) bool {
	return w.line.send(locustwire.Message{Type: kind, Data: data, Node: w.id})
}

// obey does what a message says.
func (w *worker) obey(msg *locustwire.Message) error {
	switch msg.Type {
	case locustwire.Ack:
		return w.welcomed(msg)
	case locustwire.Heartbeat:
		first := !w.known
		w.answered()
		if first && w.unsure {
			w.ask()
		}
	case locustwire.Spawn:
		w.answered()
		var order locustwire.SpawnData
		if err := msg.Decode(&order); err != nil {
			return err
		}
		w.send(locustwire.Spawning, nil)
		if order.Timestamp <= w.lastSpawn {
			w.log.Info("an order that is older than the one before", "timestamp", order.Timestamp)
			return nil
		}
		w.lastSpawn, w.unsure = order.Timestamp, false
		w.spawn(&order)
	case locustwire.Stop:
		w.log.Info("the master ends the test")
		w.end()
	case locustwire.Quit:
		w.log.Info("the master has ended")
		w.measure()
		w.report()
		w.hurry = time.After(lastWord)
		w.leave(nil)
	case locustwire.Reconnect:
		w.log.Warn("the master asks for a new connection")
		w.line.drop()
	default:
		w.log.Debug("a message that is of no use here", "type", msg.Type)
	}
	return nil
}

// answered is called when the master shows that it knows the worker on this connection.
func (w *worker) answered() {
	if !w.known {
		w.doubt = time.Now()
	}
	w.known, w.dumb = true, 0
}

// ask makes the master say whether its test goes on: to a worker that has stopped and is
// ready again it gives users. Locust 2.47 with --enable-rebalancing says nothing to one that
// is merely back (dispatch.py leaves dispatch_in_progress set). The job goes on meanwhile.
func (w *worker) ask() {
	w.send(locustwire.ClientStopped, nil)
	w.send(locustwire.ClientReady, locustwire.AnyVersion)
}

// end ends the test.
func (w *worker) end() {
	w.next, w.unsure = nil, false
	if w.job == nil || w.orphan {
		w.stopped()
		return
	}
	w.stopping = true
	w.job.Stop()
}

func (w *worker) welcomed(msg *locustwire.Message) error {
	var data locustwire.AckData
	if err := msg.Decode(&data); err != nil {
		return err
	}
	if !w.welcome {
		w.log.Info("joined the master", "worker", w.id, "number", data.Index)
	}
	w.number, w.welcome, w.ever, w.known = data.Index, true, true, true
	return nil
}

// spawn makes the job have as many virtual users as the master says.
func (w *worker) spawn(order *locustwire.SpawnData) {
	if w.leaving {
		return
	}
	if w.job != nil && w.job.Status().State != loadgen.StateRunning {
		w.next = order // once that has ended
		return
	}
	if w.state == locustwire.StateReady { // a new test
		w.tally, w.failed = newTally(time.Now()), ""
	}
	w.state = locustwire.StateSpawning
	count := 0
	for _, n := range order.Users {
		count += n
	}
	if err := w.have(count, order); err != nil {
		w.log.Error("the users that the master wants cannot be", "users", count, "error", err)
		w.send(locustwire.Exception, locustwire.ExceptionData{Message: "worker " + w.id + ": " + err.Error()})
	} else {
		w.users = order.Users
	}
	w.state = locustwire.StateRunning
	w.send(locustwire.SpawningComplete, w.reported())
}

// have starts or changes the job, or ends it where there is to be no user.
func (w *worker) have(count int, order *locustwire.SpawnData) error {
	switch {
	case w.failed != "":
		return fmt.Errorf("the job has ended: %s", w.failed)
	case count < 0:
		return fmt.Errorf("%d users", count)
	case count == 0:
		if w.job != nil {
			w.job.Stop()
		}
		return nil
	case w.job != nil:
		return w.job.Update(func(c *loadgen.JobConfig) {
			c.Workers = count
			if order.StopTimeout > 0 {
				c.Grace = time.Duration(order.StopTimeout * float64(time.Second))
			}
		})
	}
	cfg := w.cfg.Job
	cfg.Workers = count
	cfg.BaseURL = cmp.Or(cfg.BaseURL, order.Host)
	if cfg.BaseURL == "" {
		return fmt.Errorf("there is no target: give the worker a URL, or the master a host")
	}
	if order.Host != "" && order.Host != cfg.BaseURL {
		w.log.Warn("the master names another target; this worker keeps its own", "host", order.Host)
	}
	if cfg.Seed != 0 {
		cfg.Seed = max(1, cfg.Seed+uint64(w.number)*0x9e3779b97f4a7c15) // the golden ratio of 2^64
	}
	if order.StopTimeout > 0 {
		cfg.Grace = time.Duration(order.StopTimeout * float64(time.Second))
	}
	job, err := w.m.Start(w.line.ctx, cfg)
	if err != nil {
		return err
	}
	w.job, w.before = job, nil
	return nil
}

// jobEnded is called when it has.
func (w *worker) jobEnded() {
	w.measure()
	status := w.job.Status()
	orphan := w.orphan
	w.job, w.before, w.orphan = nil, nil, false
	switch {
	case w.leaving, orphan:
	case w.stopping:
		w.stopped()
	case status.State == loadgen.StateFailed || status.State == loadgen.StateFinished:
		w.failed = cmp.Or(status.Reason, string(status.State))
		w.log.Error("the job has ended by itself", "reason", w.failed)
		w.send(locustwire.Exception, locustwire.ExceptionData{Message: "worker " + w.id + ": the job has ended: " + w.failed})
		for class := range w.users {
			w.users[class] = 0
		}
		w.send(locustwire.SpawningComplete, w.reported())
	}
	if order := w.next; order != nil {
		w.next = nil
		w.spawn(order)
	}
}

// stopped tells the master that all users are gone, after what they did last, and that
// there may be another test.
func (w *worker) stopped() {
	w.users = map[string]int{}
	w.stopping, w.state = false, locustwire.StateReady
	w.report()
	w.ask()
}

// measure moves what the job has done since the last time to the tally.
func (w *worker) measure() {
	if w.job == nil || w.orphan {
		return
	}
	now := w.job.SnapshotByMethod()
	w.tally.add(now.Since(w.before))
	w.before = now
}

// report tells the master what has happened, if there is one that knows of the test;
// otherwise all of that stays for later.
func (w *worker) report() {
	if !w.known {
		return
	}
	w.seconds = 0
	data := w.tally.data()
	data.UsersData = w.reported()
	if w.send(locustwire.Stats, data) {
		w.tally = newTally(time.Now())
	}
}

func (w *worker) reported() locustwire.UsersData {
	d := locustwire.UsersData{Users: maps.Clone(w.users)}
	for _, n := range d.Users {
		d.Count += n
	}
	return d
}
