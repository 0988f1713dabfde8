package apm

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/secrets"
)

const (
	maxExamples = 5  // of each fault
	maxOfKind   = 3  // requests of each name, and of each path
	maxKinds    = 64 // names and paths of a task that have examples
)

// Example is a request that has something against it.
type Example struct {
	Fault  string          `json:"fault"` // as the count is called
	Task   string          `json:"task"`
	Trace  loadgen.TraceID `json:"trace_id"`
	Span   loadgen.SpanID  `json:"span_id"`
	Method string          `json:"method"`
	URL    string          `json:"url"`
	Status int             `json:"status"`
	Start  time.Time       `json:"start"`
	// Service is the time that the client saw, in JSON in nanoseconds.
	Service time.Duration `json:"service_ns"`
	Why     string        `json:"why"`
	// Curl is a line for a shell that sends the request again, without its body, and in no
	// trace: what an agent says of it then does not count as duplicated.
	Curl string `json:"curl"`
}

// has tells whether the request has a fault that does not depend on others.
func (r *request) has(f fault) bool {
	m := &r.mark
	expected := r.sampled && !m.unanswered
	switch f {
	case faultMissing:
		return m.settled && expected && !m.found
	case faultLate:
		return expected && m.late
	case faultDuplicated:
		return m.duplicated > 0
	case faultOrphaned:
		return m.settled && m.orphaned > 0
	case faultWrongOutcome:
		return m.wrongOutcome
	case faultNoError:
		return m.settled && expected && m.found && m.expectsError && !m.hasError && !m.wrongOutcome
	case faultTooLong:
		return m.tooLong
	case faultWrongSampled:
		return m.found && m.wrongSampled
	default:
		return false
	}
}

// score says which examples are worse than others; those that are equally bad stay as
// they come.
func (r *request) score(f fault) time.Duration {
	switch f {
	case faultLate:
		return r.mark.delay
	case faultTooLong:
		return r.mark.excess
	default:
		return 0
	}
}

// exhibit keeps a request as an example of what is wrong with it.
func exhibit(r *request) {
	u := r.task.run
	for f := range numFaults {
		if !r.has(f) {
			continue
		}
		list := u.worst[f]
		if len(list) >= maxExamples {
			list = slices.DeleteFunc(list, func(o *request) bool { return !o.has(f) })
		}
		if !slices.Contains(list, r) {
			at := len(list)
			for at > 0 && list[at-1].score(f) < r.score(f) {
				at--
			}
			list = slices.Insert(list, at, r)
		}
		u.worst[f] = list[:min(len(list), maxExamples)]
	}
	if r.mark.hasShape {
		keep(r.task.names, r.mark.name, r, func(o *request) bool { return o.mark.name == r.mark.name })
		keep(r.task.shapes, r.mark.shape, r, func(o *request) bool { return o.mark.shape == r.mark.shape })
	}
}

// keep keeps the first few of a kind.
func keep(kinds map[uint32][]*request, key uint32, r *request, still func(*request) bool) {
	list, known := kinds[key]
	if !known && len(kinds) >= maxKinds || slices.Contains(list, r) {
		return
	}
	if len(list) >= maxOfKind {
		if list = slices.DeleteFunc(list, func(o *request) bool { return !still(o) }); len(list) >= maxOfKind {
			return
		}
	}
	kinds[key] = append(list, r)
}

// examples are the worst requests of a run, by fault.
func (l *Ledger) examples(u *run, v *Verdict) []Example {
	var list []Example
	of := func(f fault, requests []*request, keep func(*request) bool, why func(*request) string) {
		n := 0
		for _, r := range requests {
			if keep(r) && n < maxExamples {
				list = append(list, l.example(r, f, why(r)))
				n++
			}
		}
	}
	for f := range numFaults {
		switch f {
		case faultWrongName:
			of(f, candidates(u, func(tk *task) map[uint32][]*request { return tk.names }), func(r *request) bool {
				e := l.expect(r.task)
				return r.mark.hasShape && e.wrongName(l, r.mark.name)
			}, l.whyName)
		case faultBroken:
			of(f, candidates(u, func(tk *task) map[uint32][]*request { return tk.shapes }), func(r *request) bool {
				e := l.expect(r.task)
				return r.mark.hasShape && r.mark.settled && e.isBroken(l, r.mark.shape)
			}, l.whyBroken)
		case faultNoError:
			of(f, u.worst[f], func(r *request) bool { return r.has(f) && l.expect(r.task).errors }, func(*request) string {
				return "a server's error without an error in its trace"
			})
		default:
			of(f, u.worst[f], func(r *request) bool { return r.has(f) }, func(r *request) string { return l.why(r, f) })
		}
	}
	return list
}

// candidates are the examples of all names, or paths, in the order that they were sent.
func candidates(u *run, of func(*task) map[uint32][]*request) []*request {
	var list []*request
	for _, tk := range u.order {
		for _, requests := range of(tk) {
			list = append(list, requests...)
		}
	}
	slices.SortFunc(list, func(a, b *request) int {
		if a.start != b.start {
			return int(min(max(a.start-b.start, -1), 1))
		}
		return slices.Compare(a.t.id[:], b.t.id[:])
	})
	return list
}

func (l *Ledger) whyName(r *request) string {
	e := l.expect(r.task)
	return fmt.Sprintf("named %q, not %q", l.strings.text(r.mark.name), e.name)
}

func (l *Ledger) whyBroken(r *request) string {
	e := l.expect(r.task)
	depth, services := l.shape(r.mark.shape)
	text := fmt.Sprintf("it has passed %s, not %s", strings.Join(services, ", "), strings.Join(e.services, ", "))
	if depth < e.depth {
		text += fmt.Sprintf("; %d transactions deep, not %d", depth, e.depth)
	}
	return text
}

func (l *Ledger) why(r *request, f fault) string {
	switch f {
	case faultMissing:
		return "no transaction has come of it"
	case faultLate:
		return fmt.Sprintf("its transaction came %s after the response", r.mark.delay.Round(time.Millisecond))
	case faultDuplicated:
		return fmt.Sprintf("%d documents came again", r.mark.duplicated)
	case faultOrphaned:
		return fmt.Sprintf("%d documents have parents that nobody has sent", r.mark.orphaned)
	case faultTooLong:
		return fmt.Sprintf("a document says %s, the client saw %s", (r.service + r.mark.excess).Round(time.Microsecond), r.service.Round(time.Microsecond))
	case faultWrongOutcome:
		for i := range r.t.nodes {
			if n := &r.t.nodes[i]; n.kind != Error && n.parent == r.span {
				return wrongOutcome(n, int(r.status))
			}
		}
	case faultWrongSampled:
		if r.sampled {
			return "it was sampled, and its transaction is not"
		}
		return "it was not sampled, and its transaction is"
	}
	return ""
}

func (l *Ledger) example(r *request, f fault, why string) Example {
	e := Example{
		Fault: f.String(), Task: r.task.name, Trace: r.t.id, Span: r.span, Method: l.strings.text(r.method),
		URL:    l.strings.text(r.target) + r.path,
		Status: int(r.status), Start: time.Unix(0, r.start), Service: r.service, Why: why,
	}
	if r.query != "" {
		e.URL += "?" + withoutSecrets(r.query)
	}
	line := loadgen.Exemplar{Method: e.Method, URL: e.URL}
	e.Curl = line.Curl()
	return e
}

// withoutSecrets hides the values of a query whose names say that they are secret.
func withoutSecrets(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		name, _, ok := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(name); ok && (err != nil || secrets.Named(plain)) {
			pairs[i] = name + "=REDACTED"
		}
	}
	return strings.Join(pairs, "&")
}
