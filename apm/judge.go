package apm

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
)

// fault is something that a request can have against it.
type fault uint8

const (
	faultMissing fault = iota
	faultLate
	faultDuplicated
	faultOrphaned
	faultWrongName
	faultWrongOutcome
	faultNoError
	faultTooLong
	faultBroken
	faultWrongSampled
	numFaults
)

func (f fault) String() string {
	return [numFaults]string{
		"missing", "late", "duplicated", "orphaned", "wrong_name", "wrong_outcome", "no_error", "too_long", "broken", "wrong_sampled",
	}[f]
}

// mark is what a request has added to the counts.
type mark struct {
	sends         uint8 // 0: it has added nothing
	settled       bool
	unanswered    bool
	found         bool
	late          bool
	wrongOutcome  bool
	tooLong       bool
	wrongSampled  bool
	expectsError  bool
	hasError      bool
	cut           bool
	duplicated    uint16
	orphaned      uint16
	errors        uint16
	name          uint32
	shape         uint32
	hasShape      bool
	excess, delay time.Duration // for the worst examples
}

// judge says anew what a trace has come to, and corrects the counts.
func (l *Ledger) judge(t *trace) {
	if len(t.requests) == 0 {
		return
	}
	roots := t.roots()
	for i, r := range t.requests {
		m := l.mark(t, i, roots)
		if m == r.mark {
			continue
		}
		was := r.mark
		r.task.count(r, &was, -1)
		r.mark = m
		r.task.count(r, &m, 1)
		if m.found && !was.found {
			r.task.run.delay.Record(m.delay)
		}
		exhibit(r)
	}
}

// rootless is the root of a node that no request has led to.
const rootless = -1

// roots tells for each node which request has led to it.
func (t *trace) roots() []int {
	const unknown, open = -2, -3
	roots := make([]int, len(t.nodes))
	for i := range roots {
		roots[i] = unknown
	}
	var find func(i int) int
	find = func(i int) int {
		if roots[i] != unknown {
			if roots[i] == open {
				return rootless // a ring
			}
			return roots[i]
		}
		roots[i] = open
		n, root := &t.nodes[i], rootless
		for at, r := range t.requests {
			if r.span == n.parent {
				root = at
			}
		}
		if root == rootless {
			if p := t.parent(n); p >= 0 {
				root = find(p)
			}
		}
		roots[i] = root
		return root
	}
	for i := range roots {
		find(i)
	}
	return roots
}

// parent is the node that n hangs on, or -1. Errors have no children.
func (t *trace) parent(n *node) int {
	if n.parent == (loadgen.SpanID{}) {
		return -1
	}
	for i := range t.nodes {
		if p := &t.nodes[i]; p.kind != Error && p.id == n.parent && p != n {
			return i
		}
	}
	return -1
}

// mark judges the request number at of a trace.
func (l *Ledger) mark(t *trace, at int, roots []int) mark {
	r := t.requests[at]
	m := mark{sends: r.sends, settled: r.settled, unanswered: r.status == 0, cut: t.cut, expectsError: r.sampled && r.status >= 500}
	var entry *node
	entries := 0
	for i := range t.nodes {
		n := &t.nodes[i]
		own := roots[i] == at
		lost := roots[i] == rootless && at == 0 // of the trace, and told of its first request
		if !own && !lost {
			continue
		}
		m.duplicated += n.again
		m.errors += n.exceptions
		if n.kind == Error {
			m.errors++
			continue
		}
		if lost {
			if t.parent(n) < 0 && !t.cut {
				m.orphaned++
			}
			continue
		}
		if !n.async {
			m.excess = max(m.excess, n.took-r.service)
		}
		if n.parent == r.span {
			if entries++; entry == nil {
				entry = n
			}
		}
	}
	m.hasError = m.errors > 0
	m.duplicated += uint16(max(0, entries-int(r.sends)))
	m.tooLong = !m.unanswered && m.excess > l.cfg.Tolerance
	if !m.tooLong {
		m.excess = 0
	}
	if entry == nil {
		return m
	}
	m.found, m.late = true, entry.late
	m.delay = time.Duration(max(0, entry.at-r.start-int64(r.service)))
	m.wrongSampled = entry.sampled != r.sampled
	if m.unanswered || !r.sampled {
		return m
	}
	m.wrongOutcome = wrongOutcome(entry, int(r.status)) != ""
	m.name = entry.name
	m.shape, m.hasShape = l.strings.of(t.shape(at, roots, l)), true
	return m
}

// shape says which services a request has passed, and how many lie behind one another:
// "2\nbasket\nshop".
func (t *trace) shape(at int, roots []int, l *Ledger) string {
	var services []string
	deepest := 0
	for i := range t.nodes {
		n := &t.nodes[i]
		if roots[i] != at || n.kind == Error {
			continue
		}
		if s := l.strings.text(n.service); !slices.Contains(services, s) {
			services = append(services, s)
		}
		depth := 0
		for j := i; j >= 0 && depth <= maxDocuments; j = t.parent(&t.nodes[j]) {
			if t.nodes[j].kind == Transaction {
				depth++
			}
			if t.nodes[j].parent == t.requests[at].span {
				break
			}
		}
		deepest = max(deepest, depth)
	}
	slices.Sort(services)
	return strconv.Itoa(deepest) + "\n" + strings.Join(services, "\n")
}

// wrongOutcome says what is wrong with what an agent says of a request that the client
// saw answered with a status; "" if nothing is. See docs/apm.md for the rules.
func wrongOutcome(n *node, status int) string {
	failed := status >= 500
	switch {
	case n.status != 0 && int(n.status) != status:
		return "it says status " + strconv.Itoa(int(n.status))
	case n.status == 0 && n.class != 0 && int(n.class) != status/100:
		return "it says HTTP " + strconv.Itoa(int(n.class)) + "xx"
	case n.protocol == Elastic && n.outcome == OutcomeUnset:
		return "" // agents of before 2020 do not say
	case failed && n.outcome == OutcomeUnset:
		return "a server's error has no status Error"
	case failed && n.outcome != OutcomeFailure:
		return "a server's error is not marked as a failure"
	case !failed && n.outcome == OutcomeFailure:
		return "what is no server's error is marked as a failure"
	case !failed && n.outcome == OutcomeUnknown:
		return "its outcome is unknown"
	}
	return ""
}
