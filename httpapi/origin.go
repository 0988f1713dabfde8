package httpapi

import "net/http"

// allowOrigin tells a browser that the page may read the answer, if it may. A cache
// must not show the answer to pages of other origins, whatever this one is.
func (a *API) allowOrigin(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	if from := r.Header.Get("Origin"); a.origins.Allows(from) {
		h.Set("Access-Control-Allow-Origin", from)
	}
}

// options answers OPTIONS; the router has found out what the path allows. A browser
// asks so before it lets a page post JSON.
func (a *API) options(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if a.origins.Allows(r.Header.Get("Origin")) && r.Header.Get("Access-Control-Request-Method") != "" {
		h.Set("Access-Control-Allow-Methods", h.Get("Allow"))
		if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
			h.Set("Access-Control-Allow-Headers", names)
		}
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusOK)
}
