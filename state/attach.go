package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/opbeans/loadgen"
)

// Attach brings the jobs of the state back into a Manager, which is to have none of
// their names, and follows that from now on; once. Those that ran run on, if resume is
// set, for what is left of their duration: the time between does not count. Otherwise,
// and where a job's scenario cannot be had any more, they are there as failed, with their
// statistics and the reason.
//
// The error wraps [ErrForeign] if the file is damaged; nothing was brought back then.
func (s *Store) Attach(m *loadgen.Manager, resume bool) error {
	var all []keptJob
	err := s.guarded(func() (err error) {
		all, err = s.load()
		return err
	})
	if err != nil {
		return fmt.Errorf("state %s: %w", s.path, err)
	}
	s.m = m
	for _, k := range all {
		if k.held != nil {
			s.held[k.record.Config.Name] = k.held
		}
		if err := s.restore(k, resume); err != nil {
			return fmt.Errorf("state %s: job %q: %w", s.path, k.record.Config.Name, err)
		}
	}
	s.since = wholeEvery // the first checkpoint is one with whole statistics
	s.stop, s.done = make(chan struct{}), make(chan struct{})
	go s.follow()
	return nil
}

// keptJob is a job as it was when the process before ended.
type keptJob struct {
	jobValue
	record loadgen.JobRecord
	held   []byte
	stats  *loadgen.Snapshot
}

func (s *Store) restore(k keptJob, resume bool) error {
	r := k.record
	was := r.Status.State
	if was == loadgen.StateStopping || was == loadgen.StateRunning && !resume {
		r.Interrupt("the server ended while it ran")
	}
	j, err := s.m.Restore(r, k.stats)
	if err != nil && was == loadgen.StateRunning && !errors.Is(err, loadgen.ErrClosed) && !errors.Is(err, loadgen.ErrJobRunning) {
		s.log.Warn("a job cannot be resumed", "job", r.Config.Name, "error", err)
		r.Interrupt("the server ended while it ran, and it cannot be resumed: " + err.Error())
		j, err = s.m.Restore(r, k.stats)
	}
	if err != nil {
		return err
	}
	if !was.Active() {
		s.saved[j.Name()] = saved{job: j, state: was, revision: r.Status.Revision, run: r.RunID(), stats: k.stats}
	}
	if was.Active() && r.Status.State.Ended() {
		s.mu.Lock()
		defer s.mu.Unlock()
		k.stats.State, k.stats.Reason, k.stats.Started = r.Status.State, r.Status.Reason, r.Started
		s.ended = append(s.ended, loadgen.NewRunRecord(r, k.stats))
	}
	return nil
}

// load reads all jobs, with their statistics up to the last checkpoint.
func (s *Store) load() ([]keptJob, error) {
	var all []keptJob
	err := s.db.View(func(tx *bbolt.Tx) error {
		entries, err := s.loadLog(tx)
		if err != nil {
			return err
		}
		if err := s.loadRuns(tx); err != nil {
			return err
		}
		stats := tx.Bucket([]byte(bucketStats))
		err = tx.Bucket([]byte(bucketJobs)).ForEach(func(name, data []byte) error {
			var v jobValue
			if err := read(data, &v); err != nil {
				return err
			}
			if v.Record.Config.Name != string(name) {
				return errors.New("a job has two names")
			}
			s.names[string(name)] = true
			k := keptJob{record: v.Record, held: v.Held, stats: &loadgen.Snapshot{}}
			run := k.record.RunID()
			seq := uint64(0)
			if data := stats.Get(name); data != nil {
				var whole wholeValue
				if err := read(data, &whole); err != nil {
					return err
				}
				if whole.Run == run {
					k.stats, seq = &whole.Stats.Snapshot, whole.Seq
				}
			}
			for _, e := range entries[string(name)] {
				if e.Run == run && e.seq > seq {
					k.add(&e.entryValue)
				}
			}
			all = append(all, k)
			return nil
		})
		have := counts(len(s.names), len(s.runs))
		if want := tx.Bucket([]byte(bucketMeta)).Get([]byte(keyCounts)); err == nil && !bytes.Equal(have, want) {
			return fmt.Errorf("it should have %.100q, and has %q", want, have)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return all, nil
}

// loadRuns reads which runs are kept.
func (s *Store) loadRuns(tx *bbolt.Tx) error {
	return tx.Bucket([]byte(bucketRuns)).ForEach(func(id, data []byte) error {
		var run loadgen.RunRecord
		if err := read(data, &run); err != nil {
			return err
		}
		s.runs = append(s.runs, kept{string(id), run.Job.Status.Since})
		return nil
	})
}

type numbered struct {
	entryValue
	seq uint64
}

// loadLog reads the checkpoints, by job, in their order.
func (s *Store) loadLog(tx *bbolt.Tx) (map[string][]numbered, error) {
	all := map[string][]numbered{}
	err := tx.Bucket([]byte(bucketLog)).ForEach(func(key, data []byte) error {
		if len(key) != 8 {
			return errors.New("a checkpoint has no number")
		}
		s.seq = binary.BigEndian.Uint64(key)
		var entries []entryValue
		if err := read(data, &entries); err != nil {
			return err
		}
		for _, e := range entries {
			all[e.Job] = append(all[e.Job], numbered{e, s.seq})
		}
		return nil
	})
	return all, err
}

// add takes a checkpoint into account.
func (k *keptJob) add(e *entryValue) {
	d := &e.Delta.Snapshot
	for i := range d.Tasks {
		d.Totals.Merge(&d.Tasks[i].Totals)
	}
	now := *d // of what does not add up, the newer counts
	k.stats.Merge(d)
	k.stats.State, k.stats.Reason, k.stats.Revision = now.State, now.Reason, now.Revision
	k.stats.Valid, k.stats.Invalid, k.stats.Issues = now.Valid, now.Invalid, now.Issues
	k.stats.Workers, k.stats.VUs, k.stats.Active, k.stats.Recent = now.Workers, now.VUs, now.Active, now.Recent
	if elapsed := time.Duration(e.Elapsed); elapsed > k.record.Elapsed {
		k.record.Elapsed, k.record.Position = elapsed, e.Position
	}
	k.stats.Elapsed = k.record.Elapsed
}
