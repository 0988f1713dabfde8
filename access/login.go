package access

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxForm is the largest body of a login, in bytes.
const maxForm = 16 << 10

// serveLogin takes the form that form has shown.
func (g *Gate) serveLogin(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		g.form(w, http.StatusOK, "/", "")
	case http.MethodPost:
		g.takeLogin(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		g.refuse(w, r, http.StatusMethodNotAllowed, "method_not_allowed", "only GET and POST are for "+g.login)
	}
}

func (g *Gate) takeLogin(w http.ResponseWriter, r *http.Request) {
	if !ownPage(r) { // else another site could log a reader in, and see what it does
		g.note(r, CodeOrigin)
		g.refuse(w, r, http.StatusForbidden, CodeOrigin, "pages of another site cannot log in")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		g.form(w, http.StatusBadRequest, "/", "The form could not be read.")
		return
	}
	next := local(r.PostForm.Get("next"))
	if !g.key.isToken(strings.TrimSpace(r.PostForm.Get("token"))) {
		g.note(r, CodeUnauthorized)
		g.form(w, http.StatusUnauthorized, next, "That is not the token.")
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: g.key.cookie, Value: g.key.session(time.Now()), Path: "/",
		MaxAge: int(sessionLength / time.Second), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", next)
	w.WriteHeader(http.StatusSeeOther)
}

// local is a path of this server; what is none becomes its root. A browser takes two
// slashes, or a slash and a backslash, for the beginning of another server's name.
func local(next string) string {
	if len(next) == 0 || len(next) > 2000 || next[0] != '/' || strings.HasPrefix(next, "//") ||
		strings.ContainsFunc(next, func(r rune) bool { return r == '\\' || r <= ' ' || r >= 0x7f }) {
		return "/"
	}
	return next
}

// form shows the login form; next is where a login leads.
func (g *Gate) form(w http.ResponseWriter, status int, next, problem string) {
	var page bytes.Buffer
	data := struct {
		Style                 template.CSS
		Script                template.JS
		Action, Next, Problem string
	}{style, script, g.login, local(next), problem}
	if err := loginPage().Execute(&page, data); err != nil {
		g.log.Error("the login form cannot be made", "error", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+hash(style)+"; script-src "+hash(script)+
		"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes()) // the client may be gone
}

// hash is the source in a Content-Security-Policy that allows a text alone.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// script keeps the part of the address after #, which no server gets to see, and in
// which the web page has its view: a browser takes it along from the form's address to
// where the login leads. Without scripts the login leads to the page's first view.
const script = `document.forms[0].action += location.hash`

const style = `
body { font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0; background: #f6f7f9; color: #1b1f24 }
form { background: #fff; border: 1px solid #d5d9e0; border-radius: 8px; padding: 2rem; width: min(22rem, 80vw) }
h1 { font-size: 1.25rem; margin: 0 0 1rem }
label { display: block; margin-bottom: .25rem }
input { font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; border: 1px solid #8a93a0; border-radius: 4px }
button { font: inherit; margin-top: 1rem; width: 100%; padding: .5rem; border: 0; border-radius: 4px; background: #1f5fbf; color: #fff; cursor: pointer }
:focus-visible { outline: 3px solid #7fb0ff; outline-offset: 1px }
p { color: #b3261e; margin: 0 0 1rem }
@media (prefers-color-scheme: dark) {
body { background: #14171b; color: #e6e9ee } form { background: #1d2127; border-color: #39404a }
input { background: #14171b; color: inherit; border-color: #6b7480 } p { color: #ff9c94 }
}
`

func loginPage() *template.Template {
	return template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in to loadgen</title>
<style>{{.Style}}</style>
<form method="post" action="{{.Action}}">
<h1>loadgen</h1>
{{with .Problem}}<p role="alert">{{.}}</p>
{{end}}<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{{.Next}}">
<button>Log in</button>
</form>
<script>{{.Script}}</script>
</html>
`))
}
