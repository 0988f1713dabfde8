package client

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

// path returns the path and query of the hop, as sent. It is valid until the next.
func (x *exchange) path() []byte { return x.out[x.pathFrom:x.pathTo] }

// url returns the whole address of the hop.
func (x *exchange) url() string {
	return x.at.scheme() + "://" + x.at.authority + string(x.path())
}

// where names the hop in messages.
func (x *exchange) where() string {
	if x.at == x.t.site {
		return string(x.path())
	}
	return x.url()
}

// sampleURL is the address of the hop for observers. It costs no allocation for
// paths that come up again and again.
func (x *exchange) sampleURL() URL {
	path, query, _ := bytes.Cut(x.path(), []byte("?"))
	return URL{
		Scheme: x.at.scheme(),
		Host:   x.at.authority,
		Path:   x.t.env.Buffers.strings.get(path),
		Query:  x.t.env.Buffers.strings.get(query),
	}
}

// interned keeps strings that were made from bytes, to use them again. It is a
// table of fixed size in which later strings replace earlier ones, and safe for
// concurrent use.
type interned struct {
	seed  maphash.Seed
	slots [8192]atomic.Pointer[string] // more than the paths of the suite, with their ids
}

func (t *interned) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	slot := &t.slots[maphash.Bytes(t.seed, b)%uint64(len(t.slots))]
	if s := slot.Load(); s != nil && *s == string(b) {
		return *s
	}
	s := string(b)
	slot.Store(&s)
	return s
}
