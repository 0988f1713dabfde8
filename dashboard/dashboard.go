// Package dashboard is the web page of a load generator: jobs at a glance, charts,
// and controls that steer a job while it runs. Everything that the page needs is
// embedded.
//
//	mux.Handle("/api/", api)             // of package httpapi
//	mux.Handle("/socket.io/", live)      // of package socketio
//	mux.Handle("/", dashboard.New())
//
// The page uses that API and that stream and nothing else, at paths relative to its
// own, so that it also works under a prefix, with [http.StripPrefix] or behind a
// proxy. Its sources are in dashboard/web, and README.md there says how to work on
// them.
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed dist
var dist embed.FS

// policy lets the page load and call what is of its own server, and nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at its root, and what the page loads below assets/. It is
// safe for concurrent use.
type Handler struct{ files map[string]*file }

// file is one embedded file, ready to be sent.
type file struct {
	plain, zipped []byte // zipped is nil where it would save nothing
	kind          string // Content-Type
	tag           string // ETag
	named         bool   // its name has a hash of its content, so that it never changes
}

// New returns the handler of the page.
func New() *Handler {
	h := &Handler{files: map[string]*file{}}
	err := fs.WalkDir(dist, "dist", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := dist.ReadFile(name)
		if err != nil {
			return err
		}
		h.files["/"+strings.TrimPrefix(name, "dist/")] = newFile(name, content)
		return nil
	})
	if err != nil {
		panic("dashboard: the embedded files cannot be read: " + err.Error()) // cannot be
	}
	h.files["/"] = h.files["/index.html"]
	return h
}

func newFile(name string, content []byte) *file {
	sum := sha256.Sum256(content)
	f := &file{
		plain: content,
		kind:  contentType(name),
		tag:   hex.EncodeToString(sum[:8]),
		named: hashed(path.Base(name)),
	}
	var zipped bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // a level that there is
	_, _ = zip.Write(content)                                    // to memory
	_ = zip.Close()
	if zipped.Len() < len(content)*9/10 {
		f.zipped = zipped.Bytes()
	}
	return f
}

// contentType does not ask the system, whose answers differ.
func contentType(name string) string {
	switch ext := path.Ext(name); ext {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return mime.TypeByExtension(ext)
	}
}

// hashed tells whether a file's name ends with a hash, as in index-BzeAG-AC.js.
func hashed(base string) bool {
	const length = len("-BzeAG-AC")
	stem := strings.TrimSuffix(base, path.Ext(base))
	return len(stem) > length && stem[len(stem)-length] == '-'
}

// Has tells whether a path is one of the page's. A program that serves several things
// can ask before it lets the handler answer.
func (h *Handler) Has(urlPath string) bool { return h.files[urlPath] != nil }

// ServeHTTP answers GET and HEAD.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := h.files[r.URL.Path]
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	switch {
	case f == nil:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	header.Set("Content-Security-Policy", policy)
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Type", f.kind)
	header.Add("Vary", "Accept-Encoding")
	header.Set("Cache-Control", "no-cache") // ask whether it has changed
	if f.named {
		header.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, tag := f.plain, `"`+f.tag+`"`
	if f.zipped != nil && acceptsGzip(r) {
		header.Set("Content-Encoding", "gzip")
		body, tag = f.zipped, `"`+f.tag+`-gzip"`
	}
	header.Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		header.Del("Content-Encoding")
		header.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodGet {
		_, _ = w.Write(body) // the client may be gone
	}
}

// matches tells whether an If-None-Match lists a tag.
func matches(list, tag string) bool {
	for known := range strings.SplitSeq(list, ",") {
		if known = strings.TrimSpace(known); known == "*" || strings.TrimPrefix(known, "W/") == tag {
			return true
		}
	}
	return false
}

// acceptsGzip reads Accept-Encoding: gzip counts unless its weight is zero.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		key, weight, given := strings.Cut(strings.TrimSpace(params), "=")
		if !given || !strings.EqualFold(strings.TrimSpace(key), "q") {
			return true
		}
		q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
		return err == nil && q > 0
	}
	return false
}
