package client

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Limits of a jar. Beyond them the oldest cookies go, as in browsers.
const (
	maxCookies    = 180     // for one domain
	maxJar        = 3000    // in all
	maxJarBytes   = 1 << 20 // of names and values
	maxCookieSize = 4096    // of name and value; a larger cookie is not taken
)

// jar holds the cookies of one VU, as RFC 6265, section 5, says. A value is kept byte for byte,
// with its quotes.
type jar struct {
	cookies []cookie // the oldest first
	bytes   int
}

type cookie struct {
	name, value  string
	domain, path string
	hostOnly     bool // for the host of domain alone, not for those below
	secure       bool
	expires      time.Time // zero: never
}

func (k *cookie) size() int { return len(k.name) + len(k.value) }

// take takes what a Set-Cookie header says in a response from u.
func (j *jar) take(u *url.URL, line string, now time.Time) {
	k, ok := parseSetCookie(line, now)
	if !ok || !k.settle(u) {
		return
	}
	at := slices.IndexFunc(j.cookies, func(o cookie) bool {
		return o.name == k.name && o.domain == k.domain && o.path == k.path
	})
	over := !k.expires.IsZero() && !k.expires.After(now)
	switch {
	case at >= 0 && over:
		j.remove(at)
	case over:
	case at >= 0: // in its old place (section 5.3, step 11)
		j.bytes += k.size() - j.cookies[at].size()
		j.cookies[at] = k
	default:
		j.cookies = append(j.cookies, k)
		j.bytes += k.size()
	}
	j.bound(k.domain, now)
}

// settle fills in domain and path by the response's address, and reports whether the cookie may
// be set from there.
func (k *cookie) settle(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	switch {
	case k.domain == "" || k.domain == host:
		k.hostOnly = k.domain == "" || net.ParseIP(host) != nil
		k.domain = host
	case net.ParseIP(host) != nil || !strings.HasSuffix(host, "."+k.domain):
		return false
	}
	if !strings.HasPrefix(k.path, "/") {
		k.path = "/"
		if i := strings.LastIndexByte(u.Path, '/'); i > 0 && u.Path[0] == '/' {
			k.path = u.Path[:i]
		}
	}
	return true
}

func (j *jar) remove(at int) {
	j.bytes -= j.cookies[at].size()
	j.cookies = slices.Delete(j.cookies, at, at+1)
}

// bound makes room: first what has expired goes, then the oldest.
func (j *jar) bound(domain string, now time.Time) {
	ofDomain := 0
	for i := range j.cookies {
		if j.cookies[i].domain == domain {
			ofDomain++
		}
	}
	if ofDomain <= maxCookies && len(j.cookies) <= maxJar && j.bytes <= maxJarBytes {
		return
	}
	for i := len(j.cookies) - 1; i >= 0; i-- {
		if k := &j.cookies[i]; !k.expires.IsZero() && !k.expires.After(now) {
			if k.domain == domain {
				ofDomain--
			}
			j.remove(i)
		}
	}
	for ; ofDomain > maxCookies; ofDomain-- {
		j.remove(slices.IndexFunc(j.cookies, func(k cookie) bool { return k.domain == domain }))
	}
	for len(j.cookies) > maxJar || j.bytes > maxJarBytes {
		j.remove(0)
	}
}

// matching returns the cookies for a URL, those of longer paths first, then the older ones.
func (j *jar) matching(u *url.URL, now time.Time) []*cookie {
	host, path := strings.ToLower(u.Hostname()), cmp.Or(u.Path, "/")
	var list []*cookie
	for i := range j.cookies {
		k := &j.cookies[i]
		switch {
		case k.domain != host && (k.hostOnly || !strings.HasSuffix(host, "."+k.domain)):
		case path != k.path && (!strings.HasPrefix(path, k.path) || !strings.HasSuffix(k.path, "/") && path[len(k.path)] != '/'):
		case k.secure && u.Scheme != "https" && !isLocal(host):
		case !k.expires.IsZero() && !k.expires.After(now):
		default:
			list = append(list, k)
		}
	}
	slices.SortStableFunc(list, func(a, b *cookie) int { return len(b.path) - len(a.path) })
	return list
}

// isLocal reports whether browsers trust a host as they trust https.
func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// parseSetCookie reads a Set-Cookie header (RFC 6265, section 5.2). The domain is empty if there
// is none, the path if the default is to be used.
func parseSetCookie(line string, now time.Time) (cookie, bool) {
	pair, attributes, _ := strings.Cut(line, ";")
	name, value, ok := strings.Cut(pair, "=")
	k := cookie{name: strings.Trim(name, " \t"), value: strings.Trim(value, " \t")}
	if !ok || k.name == "" || k.size() > maxCookieSize || strings.ContainsFunc(pair, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return k, false
	}
	maxAge := false
	for attribute := range strings.SplitSeq(attributes, ";") {
		name, value, _ := strings.Cut(attribute, "=")
		value = strings.Trim(value, " \t")
		switch strings.ToLower(strings.Trim(name, " \t")) {
		case "expires":
			if at, ok := parseCookieDate(value); ok && !maxAge {
				k.expires = at
			}
		case "max-age":
			if d, ok := parseMaxAge(value); ok {
				maxAge = true
				k.expires = now.Add(d)
			}
		case "domain":
			k.domain = strings.ToLower(strings.TrimPrefix(value, "."))
		case "path":
			k.path = value
		case "secure":
			k.secure = true
		}
	}
	return k, true
}

// parseMaxAge reads a number of seconds; one that is not above 0 is in the past.
func parseMaxAge(s string) (time.Duration, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	if digits != s {
		return -1, true
	}
	const most = 400 * 24 * time.Hour // as browsers
	var d time.Duration
	for _, b := range []byte(digits) {
		if d = d*10 + time.Duration(b-'0')*time.Second; d > most {
			return most, true
		}
	}
	return d, true
}

// parseCookieDate reads a date by RFC 6265, section 5.1.1: a time, a day, a month and a year, in
// any order, between any delimiters.
func parseCookieDate(s string) (time.Time, bool) {
	year, month, day, clock := -1, 0, 0, ""
	for _, token := range strings.FieldsFunc(s, func(r rune) bool {
		return r == '\t' || r >= ' ' && r <= '/' || r >= ';' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}) {
		n, digits := leadingNumber(token)
		switch {
		case clock == "" && strings.Count(token, ":") == 2:
			clock = token
		case day == 0 && (digits == 1 || digits == 2) && n > 0:
			day = n
		case month == 0 && len(token) >= 3 && digits == 0:
			month = 1 + slices.Index([]string{
				"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
			}, strings.ToLower(token[:3]))
		case year < 0 && digits >= 2 && digits <= 4:
			year = n
		}
	}
	switch {
	case year >= 70 && year <= 99:
		year += 1900
	case year >= 0 && year <= 69:
		year += 2000
	}
	var hms [3]int
	for i, part := range strings.SplitN(clock, ":", 3) {
		n, digits := leadingNumber(part)
		if digits < 1 || digits > 2 {
			return time.Time{}, false
		}
		hms[i] = n
	}
	if clock == "" || year < 1601 || month == 0 || day < 1 || day > 31 || hms[0] > 23 || hms[1] > 59 || hms[2] > 59 {
		return time.Time{}, false
	}
	return time.Date(year, time.Month(month), day, hms[0], hms[1], hms[2], 0, time.UTC), true
}

func leadingNumber(s string) (n, digits int) {
	for digits < len(s) && digits < 9 && s[digits] >= '0' && s[digits] <= '9' {
		n = n*10 + int(s[digits]-'0')
		digits++
	}
	return n, digits
}

// lazyJar is the VU's jar as net/http knows it. It exists only once there are cookies.
type lazyJar Client

// Cookies implements [http.CookieJar].
func (j *lazyJar) Cookies(u *url.URL) []*http.Cookie {
	if j.jar == nil {
		return nil
	}
	var list []*http.Cookie
	for _, k := range j.jar.matching(u, time.Now()) {
		list = append(list, &http.Cookie{Name: k.name, Value: plainValue(k.value)})
	}
	return list
}

// plainValue leaves out what net/http would refuse, and log. The client sends the whole value.
func plainValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f || r == '"' || r == ';' || r == '\\' {
			return -1
		}
		return r
	}, s)
}

// SetCookies implements [http.CookieJar].
func (j *lazyJar) SetCookies(u *url.URL, cookies []*http.Cookie) {
	for _, k := range cookies {
		text := k.Raw // of a response
		if text == "" {
			text = k.String()
		}
		j.take(u, text)
	}
}

func (j *lazyJar) take(u *url.URL, line string) {
	if j.jar == nil {
		j.jar = &jar{}
	}
	if j.jar.take(u, line, time.Now()); len(j.jar.cookies) == 0 {
		j.jar = nil
	}
}
