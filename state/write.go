package state

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/opbeans/loadgen"
)

// follow writes changes as they come, and checkpoints each second, until the store is
// closed.
func (s *Store) follow() {
	defer close(s.done)
	tick := time.NewTicker(checkpoint)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
			s.write(false)
		case <-tick.C:
			s.write(true)
		case <-s.stop:
			s.write(true)
			return
		}
	}
}

// batch is what one transaction writes.
type batch struct {
	jobs    map[string]*jobValue // nil: gone
	wholes  map[string]*wholeValue
	entries []entryValue
	runs    []loadgen.RunRecord
	saved   map[string]saved // how it is then
	whole   bool             // no checkpoint before it is needed any more
}

// write writes what is dirty, and as a checkpoint the statistics of all jobs that run.
func (s *Store) write(checkpoint bool) {
	s.mu.Lock()
	dirty, ended, r := s.dirty, s.ended, s.next
	s.writing = ended
	s.dirty, s.ended, s.next = map[string]bool{}, nil, &round{done: make(chan struct{})}
	s.mu.Unlock()
	b := s.gather(dirty, ended, checkpoint)
	err := s.commit(b)
	s.mu.Lock()
	s.writing = nil
	if r.err = err; err != nil {
		for name := range dirty {
			s.dirty[name] = true
		}
		s.ended = append(without(ended, s.ended...), s.ended...)
		s.ended = s.ended[max(0, len(s.ended)-maxUnsaved):]
	}
	before := s.failure
	s.failure = err
	s.mu.Unlock()
	close(r.done)
	switch {
	case err != nil:
		if _, ok := s.logged.Pass(); ok {
			s.log.Error("the state cannot be saved; jobs go on, and what changes now would be lost with the process",
				"file", s.path, "error", err)
		}
	case before != nil:
		s.logged.Reset()
		s.log.Info("the state is saved again", "file", s.path)
	}
}

// gather makes a batch of what is dirty, and for a checkpoint of all that has changed
// since the last one.
func (s *Store) gather(dirty map[string]bool, ended []loadgen.RunRecord, checkpoint bool) *batch {
	b := &batch{
		jobs: map[string]*jobValue{}, wholes: map[string]*wholeValue{}, saved: map[string]saved{},
		runs: slices.Clone(ended), whole: checkpoint && s.since >= wholeEvery,
	}
	there := map[string]bool{}
	for _, j := range s.m.List() {
		there[j.Name()] = true
		if checkpoint || dirty[j.Name()] {
			s.gatherJob(b, j, dirty[j.Name()], checkpoint)
		}
	}
	for name := range dirty {
		if !there[name] {
			b.jobs[name] = nil
		}
	}
	for name := range s.saved {
		if !there[name] {
			b.jobs[name] = nil
		}
	}
	return b
}

func (s *Store) gatherJob(b *batch, j *loadgen.Job, dirty, checkpoint bool) {
	name := j.Name()
	r, stats := j.Record(), j.Snapshot()
	s.mu.Lock()
	if before, ok := s.suspended[j]; ok {
		if r.Status.State.Active() {
			before.Elapsed, before.Position = r.Elapsed, r.Position
		}
		r = before // and the statistics of now
	}
	held := s.held[name]
	s.mu.Unlock()
	was := s.saved[name]
	now := saved{job: j, state: r.Status.State, revision: r.Status.Revision, run: r.RunID(), stats: was.stats}
	run := now.run
	// The checkpoints that know how far the job is go when whole statistics are written.
	whole := b.whole && r.Status.State.Active()
	if dirty || whole || was.job != j || was.state != now.state || was.revision != now.revision || was.run != run {
		b.jobs[name] = &jobValue{Record: r, Held: held}
	}
	// Ended may be about to tell of this end: the job and its run are to be written
	// together. It tells of those whose job has been replaced before it was looked at.
	if r.Status.State.Ended() && (was.job != j || !was.state.Ended()) &&
		!slices.ContainsFunc(b.runs, func(have loadgen.RunRecord) bool { return have.ID == run }) {
		b.runs = append(b.runs, loadgen.NewRunRecord(r, stats))
	}
	switch active := r.Status.State.Active(); {
	case r.Status.State == loadgen.StatePending:
		now.stats = nil
	case was.job != j || was.stats == nil || was.run != run || whole || was.state != now.state && !active ||
		was.stats.MetricsOpen && !stats.MetricsOpen && !active:
		b.wholes[name] = &wholeValue{Run: run, Seq: s.seq, Stats: compact(stats)}
		now.stats = stats
	case checkpoint && active:
		b.entries = append(b.entries, entryValue{
			Job: name, Run: run, Elapsed: int64(r.Elapsed), Position: r.Position, Delta: compact(sparse(stats.Since(was.stats))),
		})
		now.stats = stats
	}
	b.saved[name] = now
}

// sparse leaves the tasks out that a checkpoint has nothing of, and what can be summed
// up again.
func sparse(d *loadgen.Snapshot) *loadgen.Snapshot {
	d.Tasks = slices.DeleteFunc(d.Tasks, func(t loadgen.TaskSnapshot) bool {
		return t.Requests == 0 && t.Iterations == 0 && t.Interrupted == 0
	})
	d.Totals = loadgen.Totals{}
	return d
}

// commit writes a batch in one transaction; nothing of it is written if that fails.
func (s *Store) commit(b *batch) error {
	runs := s.runs
	for i := range b.runs {
		id := b.runs[i].ID
		runs = slices.DeleteFunc(slices.Clone(runs), func(r kept) bool { return r.id == id })
		runs = append(runs, kept{id, b.runs[i].Job.Status.Since})
	}
	drop := s.keep.surplus(runs, time.Now())
	if len(b.jobs)+len(b.wholes)+len(b.entries)+len(b.runs)+len(drop) == 0 {
		return nil
	}
	seq := s.seq
	runs = slices.DeleteFunc(slices.Clone(runs), func(r kept) bool { return slices.Contains(drop, r) })
	names := maps.Clone(s.names)
	for name, value := range b.jobs {
		if names[name] = true; value == nil {
			delete(names, name)
		}
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		jobs, stats := tx.Bucket([]byte(bucketJobs)), tx.Bucket([]byte(bucketStats))
		for name, value := range b.jobs {
			if value == nil {
				if err := jobs.Delete([]byte(name)); err != nil {
					return err
				}
				if err := stats.Delete([]byte(name)); err != nil {
					return err
				}
				continue
			}
			if err := s.put(jobs, []byte(name), value); err != nil {
				return err
			}
		}
		for name, value := range b.wholes {
			if err := s.put(stats, []byte(name), value); err != nil {
				return err
			}
		}
		if err := s.writeLog(tx.Bucket([]byte(bucketLog)), b, &seq); err != nil {
			return err
		}
		if err := s.writeRuns(tx, b.runs, drop); err != nil {
			return err
		}
		if len(names) == len(s.names) && len(runs) == len(s.runs) {
			return nil
		}
		return tx.Bucket([]byte(bucketMeta)).Put([]byte(keyCounts), counts(len(names), len(runs)))
	})
	if err != nil {
		return err
	}
	s.seq, s.runs, s.names = seq, runs, names
	for name, value := range b.jobs {
		if value == nil {
			delete(s.saved, name)
		}
	}
	for name, now := range b.saved {
		s.saved[name] = now
	}
	if s.since++; b.whole {
		s.since = 0
	}
	return nil
}

// writeLog adds the entries of a batch as one checkpoint, or clears the log if all that
// is in it is part of whole statistics now.
func (s *Store) writeLog(log *bbolt.Bucket, b *batch, seq *uint64) error {
	if b.whole {
		c := log.Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	if len(b.entries) == 0 {
		return nil
	}
	*seq++
	return s.put(log, binary.BigEndian.AppendUint64(nil, *seq), b.entries)
}

func (s *Store) put(b *bbolt.Bucket, key []byte, value any) error {
	data, err := s.packer.pack(value)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}
