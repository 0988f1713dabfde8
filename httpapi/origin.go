package httpapi

import "net/http"

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
