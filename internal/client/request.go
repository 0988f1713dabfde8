package client

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/opbeans/loadgen/internal/secrets"
	"github.com/opbeans/loadgen/internal/textkit"
	"github.com/opbeans/loadgen/internal/wire"
	"github.com/opbeans/loadgen/tracecontext"
)

const (
	versionLine = " HTTP/1.1\r\n"
	inlineBody  = 8 << 10 // a body up to this size is sent in one write with the header
)

// aim points the first hop of an exchange at a URL: relative to the base, or
// absolute.
func (x *exchange) aim(target []byte) error {
	x.hop, x.foreign = 0, false
	key, rest := splitURL(target)
	x.site, x.prefix, x.rest = x.t.site, x.t.basePath, rest
	if key == nil {
		return nil
	}
	site, err := x.c.site(key)
	if err != nil {
		return err
	}
	if site.origin == x.t.site.origin && site.auth == "" {
		site = x.t.site
	}
	x.site, x.prefix = site, ""
	return nil
}

// aimAt points the next hop at where a redirect led to.
func (x *exchange) aimAt(to reference) error {
	site, err := x.c.site([]byte(to.site))
	if err != nil {
		return err
	}
	if site.origin == x.t.site.origin {
		site = x.t.site // with its user and password
	}
	first := x.site
	x.foreign = x.foreign || (site.origin != first.origin &&
		!(site.name == first.name && site.https && !first.https))
	x.ref = append(x.ref[:0], to.path...)
	x.site, x.prefix, x.rest = site, "", x.ref
	return nil
}

// render writes the head of a request into x.out.
func (x *exchange) render(r *Call) (err error) {
	x.method = r.Method
	if x.method == "" {
		x.method = http.MethodGet
	}
	if x.method != http.MethodGet && !textkit.IsToken(x.method) {
		return x.unsendable("not a valid method")
	}
	x.at, x.body, x.interim, x.closing = x.site, r.Body, false, x.t.close
	x.out = append(append(x.out[:0], x.method...), ' ')
	if f := x.site.forward; f != nil {
		x.out = append(x.out, f.before...)
	}
	x.pathFrom = len(x.out)
	if x.out, err = x.appendPath(x.out); err != nil {
		return x.unsendable(err.Error())
	}
	x.pathTo = len(x.out)
	if len(r.Header) == 0 && x.site == x.t.site && x.c.jar == nil && !x.foreign {
		x.out = append(x.out, x.t.tail...)
	} else if err = x.appendFields(r); err != nil {
		return x.unsendable(err.Error())
	}
	if t := x.t.trace; t != nil {
		x.appendTrace(t, r.Header)
	} else {
		x.trace = tracecontext.Context{}
	}
	if f := x.site.forward; f != nil {
		x.out = append(x.out, f.auth...)
	}
	switch {
	case x.source != nil && x.sourceLen < 0:
		x.out = append(x.out, "Transfer-Encoding: chunked\r\n"...)
	case x.source != nil:
		x.out = wire.AppendLength(x.out, x.sourceLen)
	case x.body != nil || x.method == http.MethodPost || x.method == http.MethodPut || x.method == http.MethodPatch:
		x.out = wire.AppendLength(x.out, int64(len(x.body)))
	}
	x.out = append(x.out, "\r\n"...)
	return nil
}

func (x *exchange) unsendable(why string) error {
	return &requestError{x.method, string(x.rest), why}
}

// appendPath joins the base path and the request's own path and query.
func (x *exchange) appendPath(dst []byte) ([]byte, error) {
	rest, prefix := x.rest, x.prefix
	begin := byte(0)
	if len(rest) > 0 {
		begin = rest[0]
	}
	bare := begin == 0 || begin == '?' || begin == '#' // names the base itself
	if n := len(prefix); n > 0 && prefix[n-1] == '/' && !bare {
		prefix = prefix[:n-1]
	}
	from := len(dst)
	dst, err := wire.AppendTarget(dst, prefix)
	if err != nil {
		return dst, err
	}
	if (bare && len(dst) == from) || (!bare && begin != '/') {
		dst = append(dst, '/')
	}
	return wire.AppendTarget(dst, rest)
}

// appendFields writes the header of a request that adds something to that of the
// target, or goes elsewhere.
func (x *exchange) appendFields(r *Call) (err error) {
	x.out = append(x.out, versionLine...)
	own := r.Header
	var cookie []byte
	authorized := x.foreign
	for i := range x.t.fields {
		f := &x.t.fields[i]
		switch {
		case x.foreign && x.confidential(f.name, []byte(f.line[len(f.name):])), hasField(own, f.name):
			continue
		case f.name == "Authorization":
			if x.t.site.auth != "" && x.site != x.t.site {
				continue // the base URL's user is for the base alone
			}
			authorized = true
		case f.name == "Cookie":
			cookie = []byte(f.line[len("Cookie: ") : len(f.line)-2])
			continue
		case f.name == "Host" && x.site != x.t.site:
			if x.out, err = wire.AppendField(x.out, "Host", x.site.authority); err != nil {
				return err
			}
			continue
		}
		x.out = append(x.out, f.line...)
	}
	hosted := false
	for i := range own {
		f := &own[i]
		switch {
		case FramingHeader(f.Name) && !x.viaStd: // whose own field it is
			return errors.New(f.Name + " is set by the client, from the body")
		case FramingHeader(f.Name), x.foreign && (!x.viaStd || !Private(f.Name)) && x.confidential(f.Name, f.Value):
			continue
		case f.Value == nil && f.Name != "Host":
			authorized = authorized || f.Name == "Authorization"
			continue
		case f.Name == "Host":
			if hosted || (x.foreign && !x.viaStd) {
				continue
			}
			if !textkit.IsHost(string(f.Value)) {
				return fmt.Errorf("Host must be a host, with a port if it needs one, not %.100q", f.Value) //nolint:staticcheck // a header's name
			}
			hosted = true
		case f.Name == "Cookie":
			value := f.Value
			if x.viaStd {
				value = x.withoutJar(value)
			}
			if len(cookie) > 0 && len(value) > 0 {
				cookie = append(cookie, "; "...)
			}
			cookie = append(cookie, value...)
			continue
		case f.Name == "Authorization":
			authorized = true
		case f.Name == "Connection":
			x.closing = x.closing || wire.HasToken(f.Value, "close")
		case f.Name == "Expect" && wire.HasToken(f.Value, "100-continue"):
			if len(x.body) == 0 && x.source == nil {
				continue
			}
			x.interim = true
		}
		if x.out, err = wire.AppendField(x.out, f.Name, f.Value); err != nil {
			return err
		}
	}
	if !hosted && hasField(own, "Host") {
		if x.out, err = wire.AppendField(x.out, "Host", x.site.authority); err != nil {
			return err
		}
	}
	if !authorized && x.site.auth != "" {
		if x.out, err = wire.AppendField(x.out, "Authorization", x.site.auth); err != nil {
			return err
		}
	}
	if cookie = x.appendJar(cookie); len(cookie) > 0 {
		x.out, err = wire.AppendField(x.out, "Cookie", cookie)
	}
	return err
}

func hasField(fields []HeaderField, name string) bool {
	for i := range fields {
		if fields[i].Name == name {
			return true
		}
	}
	return false
}

// confidential reports whether a header stays with its origin: it carries credentials, is named
// like a secret, or is made of one that the scenario declares.
func (x *exchange) confidential(name string, value []byte) bool {
	return Private(name) || secrets.Named(name) || x.c.owner.Secret(value)
}

// Private tells whether a header must not follow a redirect to another origin.
func Private(name string) bool {
	return name == "Authorization" || name == "Cookie" || name == "Proxy-Authorization"
}
