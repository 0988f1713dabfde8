// Package lossy writes to where nobody may be reading any more.
package lossy

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// Writer passes on what is written, and never fails: what cannot be written is counted. It is
// safe for concurrent use as far as the writer below is.
type Writer struct {
	to   io.Writer
	once sync.Once
	tell io.Writer
	lost atomic.Uint64
}

// New returns a writer to w. The first loss is reported on tell.
func New(w, tell io.Writer) *Writer { return &Writer{to: w, tell: tell} }

// Write implements [io.Writer]. It always returns len(p) and nil.
func (w *Writer) Write(p []byte) (int, error) {
	if _, err := w.to.Write(p); err != nil {
		w.lost.Add(1)
		w.once.Do(func() {
			_, _ = fmt.Fprintf(w.tell, "loadgen: the log cannot be written (%v): lines are lost, and jobs go on\n", err)
		})
	}
	return len(p), nil
}

// Lost returns how many writes have failed.
func (w *Writer) Lost() uint64 { return w.lost.Load() }
