package client

import (
	"errors"
	"net/url"
	"strings"
)

// reference is where a redirect leads.
type reference struct {
	site string // scheme and authority, such as "https://shop.test:8443"
	path string // path and query, as they are sent
}

// resolveLocation resolves a Location header against the URL of the request, as browsers do: a
// bare %, and what else may stand in a path, is sent as it is; spaces, quotes and bytes beyond
// ASCII are percent-encoded; a backslash counts as a slash (URL Standard of the WHATWG).
func resolveLocation(from, location string) (reference, error) {
	location = strings.Trim(location, "\x00\x01\x02\x03\x04\x05\x06\x07\x08\t\n\x0b\x0c\r\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f ")
	location = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(location)
	location, _, _ = strings.Cut(location, "#")
	scheme, rest, _ := strings.Cut(from, "://")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	ref := reference{site: from[:len(scheme)+3+end]}
	base, query, hasQuery := strings.Cut(rest[end:], "?")

	to, toQuery, toHasQuery := strings.Cut(location, "?")
	to = strings.ReplaceAll(to, `\`, "/")
	if i := strings.IndexAny(to, ":/"); i > 0 && to[i] == ':' && isScheme(to[:i]) {
		scheme = strings.ToLower(to[:i])
		if scheme != "http" && scheme != "https" {
			return ref, errors.New("not an http or https URL")
		}
		to = "//" + strings.TrimLeft(to[i+1:], "/")
	}
	switch {
	case strings.HasPrefix(to, "//"):
		authority, path, _ := strings.Cut(to[2:], "/")
		u, err := url.Parse(scheme + "://" + authority)
		if err != nil || u.Host == "" {
			return ref, errors.New("not a valid host")
		}
		ref.site, to = scheme+"://"+u.Host, "/"+path
	case to == "":
		to = base
		if !toHasQuery {
			toQuery, toHasQuery = query, hasQuery
		}
	case to[0] != '/':
		to = base[:strings.LastIndexByte(base, '/')+1] + to
	}
	ref.path = escapeBytes(withoutDots(to), " \"<>`{}")
	if toHasQuery {
		ref.path += "?" + escapeBytes(toQuery, " \"<>'")
	}
	return ref, nil
}

func isScheme(s string) bool {
	for i, b := range []byte(strings.ToLower(s)) {
		if (b < 'a' || b > 'z') && (i == 0 || (b < '0' || b > '9') && b != '+' && b != '-' && b != '.') {
			return false
		}
	}
	return s != ""
}

// withoutDots removes the segments . and .. from a path, and makes it begin with a slash.
func withoutDots(path string) string {
	if !strings.Contains(path, "/.") && !strings.Contains(strings.ToLower(path), "/%2e") && strings.HasPrefix(path, "/") {
		return path
	}
	var out []string
	segments := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch strings.ReplaceAll(strings.ToLower(segment), "%2e", ".") {
		case "..":
			out = out[:max(0, len(out)-1)]
		case ".":
		default:
			out = append(out, segment)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

// escapeBytes percent-encodes controls, bytes beyond ASCII, and those of a set.
func escapeBytes(s, set string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(set, c) >= 0 {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
