package statsd

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Names is a form of bucket names. Each request has a timing under the name that is
// shown, to its response's header in whole milliseconds, and a count under that name
// and the status. The time does not include connecting, which Molotov's did. A request that a redirect led on is one request: its first method
// and URL, its last status, the time of all hops. One without a response, or whose
// response broke off, is counted under `.err_<class>`; see [loadgen.ErrorClass].
type Names string

// The forms of names.
const (
	// NamesMolotov is that of Molotov 2.2 and later, to the byte:
	// molotov.<hostname>.<METHOD>.<url host>.<decoded path>. Paths are kept as
	// they are, so that ids in them make a bucket each, and dots in host names and
	// paths split labels. Only what would break the line (colon, bar, at sign,
	// control characters) is replaced by an underscore.
	NamesMolotov Names = "molotov"
	// NamesMolotovIP is that of older versions, with the IPv4 address that the
	// request went to, which makes four labels, in place of the host's name; the
	// suite's page walks just these. A host without one keeps its name. Dots in
	// the name of this host and in paths are replaced by underscores, since they
	// would split labels; beyond 8,000 different paths there is one more for all
	// the others, "(other)".
	NamesMolotovIP Names = "molotov-ip"
	// NamesLoadgen is a tree of bounded size: loadgen.<hostname>.<job>.<scenario>.<task>.
	// Each is one label; in it, all but ASCII letters, digits, "-" and "_" is
	// replaced by an underscore. Unexpected responses are counted under
	// `.err_check` as well.
	NamesLoadgen Names = "loadgen"
)

func (n Names) known() bool {
	return n == NamesMolotov || n == NamesMolotovIP || n == NamesLoadgen
}

// namer names buckets.
type namer struct {
	form  Names
	host  string              // this host
	paths map[string]struct{} // that have names of their own; nil: all have
}

// maxPaths is how many paths NamesMolotovIP tells apart: more than the scenarios of the
// suite have, with their ids.
const maxPaths = 8000

func newNamer(form Names, host string) namer {
	n := namer{form: form, host: host}
	if form == NamesMolotovIP {
		n.host = undotted(host)
		n.paths = map[string]struct{}{}
	}
	return n
}

// path is the label of a path.
func (n *namer) path(path string) string {
	path = decodePath(path)
	if n.paths == nil {
		return path
	}
	if _, ok := n.paths[path]; !ok {
		if len(n.paths) >= maxPaths {
			return "(other)"
		}
		n.paths[path] = struct{}{}
	}
	return undotted(path)
}

func undotted(s string) string { return strings.ReplaceAll(s, ".", "_") }

// key is what tells buckets apart: it holds what a name is made from, so that a known
// bucket is found without making its name.
type key struct{ a, b, c string }

func (n *namer) key(req *request) key {
	if n.form == NamesLoadgen {
		return key{req.job, req.scenario, req.task}
	}
	return key{req.method, req.host, req.path}
}

// bucket is the name of a request's bucket. An address takes the place of the name of
// the URL's host.
func (n *namer) bucket(req *request, addr string) string {
	if n.form == NamesLoadgen {
		task := req.task
		if task == "" {
			task = "no_task"
		}
		return n.own(req.job) + "." + label(req.scenario) + "." + label(task)
	}
	if addr == "" {
		addr = hostname(req.host)
	}
	return lineSafe("molotov." + n.host + "." + req.method + "." + addr + "." + n.path(req.path))
}

// own is where the tree of a job begins.
func (n *namer) own(job string) string { return "loadgen." + label(n.host) + "." + label(job) }

// label makes one label of a tree from any text.
func label(s string) string {
	if s == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		}
		return '_'
	}, s)
}

// lineSafe replaces the bytes that would end a name or a line.
func lineSafe(s string) string {
	breaks := func(c byte) bool { return c == ':' || c == '|' || c == '@' || c < ' ' || c == 0x7f }
	for i := range len(s) {
		if !breaks(s[i]) {
			continue
		}
		safe := []byte(s)
		for j := i; j < len(safe); j++ {
			if breaks(safe[j]) {
				safe[j] = '_'
			}
		}
		return string(safe)
	}
	return s
}

// hostname is the host of a URL's authority as Molotov saw it: without port and
// brackets, in lower case, and in Unicode.
func hostname(authority string) string {
	u := url.URL{Host: authority}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, "xn--") {
		if decoded, err := idna.ToUnicode(host); err == nil {
			return decoded
		}
	}
	return host
}

// decodePath decodes the percent-encoded bytes of a path. What is not UTF-8 then is
// written percent-encoded, in upper case.
func decodePath(path string) string {
	if !strings.Contains(path, "%") && utf8.ValidString(path) {
		return path
	}
	plain := make([]byte, 0, len(path))
	for i := 0; i < len(path); {
		if b, ok := percent(path[i:]); ok {
			plain = append(plain, b)
			i += 3
		} else {
			plain = append(plain, path[i])
			i++
		}
	}
	if utf8.Valid(plain) {
		return string(plain)
	}
	out := make([]byte, 0, len(path))
	for len(plain) > 0 {
		r, size := utf8.DecodeRune(plain)
		if r == utf8.RuneError && size == 1 {
			out = fmt.Appendf(out, "%%%02X", plain[0])
		} else {
			out = append(out, plain[:size]...)
		}
		plain = plain[size:]
	}
	return string(out)
}

// percent decodes the percent-encoded byte that s begins with.
func percent(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	b, err := strconv.ParseUint(s[1:3], 16, 8)
	return byte(b), err == nil
}

// isIPv4 tells whether a host is an IPv4 address already.
func isIPv4(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.To4() != nil && !strings.Contains(host, ":")
}
