// Package state keeps the jobs of a [loadgen.Manager] in a file, so that they survive
// the process: configurations with their revisions, statistics up to the last second,
// and what runs have come to.
//
//	store, err := state.Open(dir)
//	if err != nil {
//		return err
//	}
//	defer store.Close() // after the Manager
//	m := loadgen.New(loadgen.WithOnEnd(store.Ended))
//	defer m.Close()
//	err = store.Attach(m, true) // the jobs are back, and those that ran run on
//
// From then on the store follows the Manager: each second it writes what has changed.
// [Store.Save] writes a change at once, and says when it is on disk. A process may be
// killed at any moment; what Save has confirmed is there when the next one opens
// the folder.
//
// The file is one of bbolt (go.etcd.io/bbolt): changes are made in transactions that
// are on disk when they end. It has configurations with the secrets in them, and so
// can be read by its owner alone.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/loglimit"
)

// The defaults of what is kept of runs that have ended.
const (
	DefaultRuns = 1000
	DefaultFor  = 30 * 24 * time.Hour
)

const (
	fileName    = "loadgen.db"
	format      = "loadgen state 1"
	lockTimeout = time.Second      // for another process to give the file free
	saveTimeout = 10 * time.Second // for a transaction
	checkpoint  = time.Second      // between two writes of statistics
	wholeEvery  = 60               // checkpoints from one with whole statistics to the next
	maxUnsaved  = 1000             // runs that wait to be written
)

// Errors of [Open] that a caller can tell apart with [errors.Is].
var (
	// ErrInUse means that another process has the folder open.
	ErrInUse = errors.New("another server uses it")
	// ErrForeign means that the file is damaged, or no state of a load generator. It is
	// left as it is.
	ErrForeign = errors.New("it is damaged, or not the state of a load generator")
)

// Store is an open folder. Its methods are safe for concurrent use.
type Store struct {
	db   *bbolt.DB
	path string
	log  *slog.Logger
	keep retention
	m    *loadgen.Manager

	mu        sync.Mutex
	dirty     map[string]bool            // jobs to be written soon
	held      map[string]json.RawMessage // by job
	ended     []loadgen.RunRecord        // to be written
	writing   []loadgen.RunRecord        // that have been taken from ended and are not yet in the file
	suspended map[*loadgen.Job]loadgen.JobRecord
	next      *round // of what is dirty
	failure   error  // of the last transaction

	wake   chan struct{}
	stop   chan struct{} // nil before Attach
	done   chan struct{}
	logged loglimit.Limit

	// Of the goroutine that writes:
	packer *packer
	saved  map[string]saved
	names  map[string]bool // of the jobs on disk
	runs   []kept          // that have ended
	seq    uint64          // of the last checkpoint
	since  int             // checkpoints since the last one with whole statistics
}

// round is one transaction that callers wait for.
type round struct {
	done chan struct{}
	err  error
}

// saved is what of a job is on disk.
type saved struct {
	job      *loadgen.Job
	state    loadgen.State
	revision uint64
	run      string            // a job has none while it is in its set-up
	stats    *loadgen.Snapshot // whole and checkpoints together; nil: none
}

// Option configures a Store.
type Option func(*Store)

// WithLogger makes the store log when it cannot write, and when it can again.
func WithLogger(log *slog.Logger) Option { return func(s *Store) { s.log = log } }

// WithRetention keeps this many runs that have ended, the newest, and none that ended
// longer ago than age; 0 for any age. Defaults: [DefaultRuns], [DefaultFor].
func WithRetention(runs int, age time.Duration) Option {
	return func(s *Store) { s.keep = retention{runs, age} }
}

// Open opens the state in a folder, which is made if it is not there. The error wraps
// [ErrInUse] or [ErrForeign], or is that of the file system.
func Open(dir string, opts ...Option) (*Store, error) {
	s := &Store{
		path: filepath.Join(dir, fileName), log: slog.New(slog.DiscardHandler),
		keep:  retention{DefaultRuns, DefaultFor},
		dirty: map[string]bool{}, held: map[string]json.RawMessage{}, saved: map[string]saved{}, names: map[string]bool{}, packer: newPacker(),
		suspended: map[*loadgen.Job]loadgen.JobRecord{},
		next:      &round{done: make(chan struct{})}, wake: make(chan struct{}, 1),
	}
	for _, opt := range opts {
		opt(s)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	err := s.guarded(func() error {
		if err := s.create(); err != nil {
			return err
		}
		return s.open()
	})
	if err != nil {
		if s.db != nil {
			_ = s.db.Close()
		}
		return nil, fmt.Errorf("state %s: %w", s.path, err)
	}
	return s, nil
}

// create makes a new file, whole or not at all. A file that another server has made meanwhile
// wins: this one is linked to its name, which fails then, and not renamed over it.
func (s *Store) create() error {
	if _, err := os.Lstat(s.path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(s.path), filepath.Base(s.path)+".*.part")
	if err != nil {
		return err
	}
	part := file.Name()
	defer func() { _ = os.Remove(part) }()
	if err := file.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(part, 0o600, &bbolt.Options{Timeout: lockTimeout})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range buckets() {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(bucketMeta))
		return errors.Join(meta.Put([]byte(keyFormat), []byte(format)), meta.Put([]byte(keyCounts), counts(0, 0)))
	})
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	if err := os.Link(part, s.path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(s.path))
}

// syncFolder makes a new name in a folder survive a loss of power, where the system can.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil && runtime.GOOS == "linux" {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// open opens the file, and looks whether it is one of ours and all of it can be read.
func (s *Store) open() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 { // bbolt would begin a new one in it
		return ErrForeign
	}
	s.db, err = bbolt.Open(s.path, 0o600, &bbolt.Options{Timeout: lockTimeout})
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrInUse
	case errors.As(err, new(syscall.Errno)):
		return err
	case err != nil: // bbolt does not like what it reads
		return fmt.Errorf("%w: %w", ErrForeign, err)
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: it is cut short", ErrForeign)
		}
		meta := tx.Bucket([]byte(bucketMeta))
		if meta == nil {
			return fmt.Errorf("%w: it is a file of another program", ErrForeign)
		}
		if got := string(meta.Get([]byte(keyFormat))); got != format {
			return fmt.Errorf("%w: its format is %.40q, and this program reads %q", ErrForeign, got, format)
		}
		var all unpacker
		for _, name := range buckets() {
			b := tx.Bucket([]byte(name))
			if b == nil {
				return fmt.Errorf("%w: it has no %s", ErrForeign, name)
			}
			if err := b.ForEach(func(_, v []byte) error {
				if name == bucketMeta {
					return nil
				}
				return all.unpack(io.Discard, v)
			}); err != nil {
				return fmt.Errorf("%w: %w", ErrForeign, err)
			}
		}
		return nil
	})
}

// guarded calls f, and makes an error of what goes wrong in reading a damaged file:
// bbolt panics, and memory that is mapped to a file that was cut short is not there.
func (s *Store) guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrForeign, p)
		}
	}()
	return f()
}

// Save takes note that a job has changed or is gone, and of what a front end holds
// about it beyond the job; nil for nothing. It does not block. The function that it
// returns waits until that is on disk, and says why if it cannot be; the store goes
// on trying then. Changes that come while others are being written share one
// transaction.
func (s *Store) Save(job string, held json.RawMessage) (wait func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[job] = held
	if held == nil {
		delete(s.held, job)
	}
	s.dirty[job] = true
	for j := range s.suspended {
		if j.Name() == job {
			delete(s.suspended, j) // it was stopped by somebody, after all
		}
	}
	r := s.next
	s.poke()
	return func() error {
		late := time.NewTimer(saveTimeout)
		defer late.Stop()
		select {
		case <-r.done:
			return r.err
		case <-late.C:
			return errors.New("the disk is too slow")
		}
	}
}

// Held is what Save was last told about a job; nil for nothing.
func (s *Store) Held(job string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[job]
}

// Err says why what has changed last could not be written; nil if it is on disk. The
// store tries again each second.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// poke makes the writer look; s is locked.
func (s *Store) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Ended keeps what the run of a job has come to: for [loadgen.WithOnEnd], and once more
// when verdicts on a job that has ended have become final.
func (s *Store) Ended(j *loadgen.Job) {
	stats := j.Snapshot()
	r := loadgen.NewRunRecord(j.Record(), stats)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty[j.Name()] = true
	if before, ok := s.suspended[j]; ok {
		before.Elapsed, before.Position = r.Job.Elapsed, r.Job.Position
		s.suspended[j] = before
	} else if s.ended = append(without(s.ended, r), r); len(s.ended) > maxUnsaved {
		s.ended = s.ended[1:]
	}
	s.poke()
}

// Suspend says that the process is about to end: jobs that run now and are then
// stopped by their Manager run on when the state is attached again.
func (s *Store) Suspend() {
	if s.m == nil {
		return
	}
	for _, j := range s.m.List() {
		if r := j.Record(); r.Status.State == loadgen.StateRunning {
			s.mu.Lock()
			s.suspended[j] = r
			s.mu.Unlock()
		}
	}
}

// Close writes what is left and closes the file. It is for after the end of the Manager.
// The error says that something could not be written, which is then lost.
func (s *Store) Close() error {
	var err error
	if s.stop != nil {
		close(s.stop)
		<-s.done
		s.stop = nil
		err = s.Err()
	}
	return errors.Join(err, s.db.Close())
}
