package shop_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/opbeans/loadgen/internal/shop"
)

// do sends one request to a listening server, and checks what every answer of the
// shop has: a body of JSON, but for the home page, as long as announced.
func do(t *testing.T, server *httptest.Server, method, path, contentType, body string) (*http.Response, any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	assert.Equal(t, int64(len(text)), resp.ContentLength)
	if path == "/" && resp.StatusCode == 200 {
		assert.Equal(t, "text/html; charset=utf-8", resp.Header.Get("Content-Type"))
		return resp, string(text)
	}
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	var v any
	require.NoError(t, json.Unmarshal(text, &v), "%s", text)
	return resp, v
}

func listen(t *testing.T, opts shop.Options) (*shop.Shop, *httptest.Server) {
	t.Helper()
	s := shop.New(opts)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server
}

// form is a multipart body as the built-in scenarios send it.
func form(customer, filename, fileType, csv string) (contentType, body string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if customer != "" {
		_ = w.WriteField("customer", customer)
	}
	if filename != "" {
		part, _ := w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename=%q`, filename)},
			"Content-Type":        {fileType},
		})
		_, _ = io.WriteString(part, csv)
	}
	_ = w.Close()
	return w.FormDataContentType(), b.String()
}

const (
	customerKeys = "address,city,company_name,country,email,full_name,id,postal_code"
	orderKeys    = "created_at,customer_id,customer_name,id"
	productKeys  = "cost,description,id,name,selling_price,sku,sold,stock,type_id,type_name"
)

// shape describes a value of JSON: the keys of an object, or how many elements of
// which shape an array has.
func shape(v any) string {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		return strings.Join(keys, ",")
	case []any:
		if len(v) == 0 {
			return "0"
		}
		first := shape(v[0])
		for i := range v {
			if shape(v[i]) != first {
				return "mixed"
			}
		}
		return fmt.Sprintf("%d of %s", len(v), first)
	}
	return fmt.Sprintf("%T", v)
}

// Every request of the built-in scenarios, and what it expects.
func TestRoutes(t *testing.T) {
	csvType, csv := form("1000", "data.csv", "text/plain", "1,4\n6,1\n")
	const jsonType = "application/json"
	tests := []struct {
		task, request, contentType, body string
		status                           int
		shape                            string
	}{
		{"root", "GET /", "", "", 200, "string"},
		{"stats", "GET /api/stats", "", "", 200, "customers,numbers,orders,products"},
		{"products", "GET /api/products", "", "", 200, "6 of " + productKeys},
		{"products_top", "GET /api/products/top", "", "", 200, "3 of " + productKeys},
		{"products_id", "GET /api/products/1", "", "", 200, productKeys},
		{"products_id", "GET /api/products/6", "", "", 200, productKeys},
		{"products_id_customers", "GET /api/products/1/customers", "", "", 200, "100 of " + customerKeys},
		{"products_id_customers_limit", "GET /api/products/6/customers?limit=50", "", "", 200, "50 of " + customerKeys},
		{"products_id_customers_limit", "GET /api/products/3/customers?limit=110", "", "", 200, "110 of " + customerKeys},
		{"types", "GET /api/types", "", "", 200, "3 of id,name"},
		{"types_id", "GET /api/types/1", "", "", 200, "id,name,products"},
		{"types_id", "GET /api/types/3", "", "", 200, "id,name,products"},
		{"customers", "GET /api/customers", "", "", 200, "100 of " + customerKeys},
		{"customers_id", "GET /api/customers/1", "", "", 200, customerKeys},
		{"customers_id", "GET /api/customers/1000", "", "", 200, customerKeys},
		{"wrong_customers_id", "GET /api/customers/5000", "", "", 404, "error"},
		{"wrong_customers_id", "GET /api/customers/10000", "", "", 404, "error"},
		{"orders", "GET /api/orders", "", "", 200, "100 of " + orderKeys},
		{"orders_id", "GET /api/orders/1", "", "", 200, "created_at,customer_id,customer_name,id,lines"},
		{"orders_id", "GET /api/orders/1000", "", "", 200, "created_at,customer_id,customer_name,id,lines"},
		{"orders_post", "POST /api/orders", jsonType, `{"customer_id":1,"lines":[{"id":6,"amount":4}]}`, 200, "id"},
		{"orders_post", "POST /api/orders", jsonType + "; charset=utf-8", `{"customer_id":1000,"lines":[{"id":1,"amount":1},{"id":1,"amount":1}]}`, 200, "id"},
		{"browser_latency", "GET /labeldelay?delay=1&label=dyno_latency", "", "", 200, "delay,label"},
		{"oopsie", "GET /oopsie", "", "", 500, "error"},
		{"orders_post_csv", "POST /api/orders/csv", csvType, csv, 200, "id"},
		{"log_error", "GET /log-error", "", "", 500, "error"},
		{"log_message", "GET /log-message", "", "", 500, "error"},
		{"is_it_coffee_time", "GET /is-it-coffee-time", "", "", 500, "error"},
		{"throw_error", "GET /throw-error", "", "", 500, "error"},
		{"throw_error_async", "GET /throw-async-error", "", "", 200, "status"},
		// and what goes wrong
		{"", "GET /api/customers/1001", "", "", 404, "error"},
		{"", "GET /api/customers/0", "", "", 404, "error"},
		{"", "GET /api/customers/x", "", "", 404, "error"},
		{"", "GET /api/products/7", "", "", 404, "error"},
		{"", "GET /api/products/7/customers", "", "", 404, "error"},
		{"", "GET /api/types/4", "", "", 404, "error"},
		{"", "GET /api/orders/1001", "", "", 404, "error"},
		{"", "GET /api/products/1/customers?limit=0", "", "", 400, "error"},
		{"", "GET /api/products/1/customers?limit=1001", "", "", 400, "error"},
		{"", "GET /api/customers?limit=many", "", "", 400, "error"},
		{"", "GET /api/customers?limit=1000", "", "", 200, "1000 of " + customerKeys},
		{"", "GET /api/orders?limit=1", "", "", 200, "1 of " + orderKeys},
		{"", "GET /labeldelay?label=x", "", "", 400, "error"},
		{"", "GET /labeldelay?delay=-1&label=x", "", "", 400, "error"},
		{"", "GET /labeldelay?delay=60001&label=x", "", "", 400, "error"},
		{"", "GET /labeldelay?delay=1", "", "", 400, "error"},
		{"", "GET /nowhere", "", "", 404, "error"},
		{"", "GET /api", "", "", 404, "error"},
		{"", "POST /", "", "", 405, "error"},
		{"", "DELETE /api/orders/1", "", "", 405, "error"},
		{"", "PUT /api/orders", "", "", 405, "error"},
		{"", "GET /api/orders/csv", "", "", 404, "error"}, // no such order
	}
	s, server := listen(t, shop.Options{})
	for _, tt := range tests {
		t.Run(tt.task+" "+tt.request, func(t *testing.T) {
			method, path, _ := strings.Cut(tt.request, " ")
			resp, v := do(t, server, method, path, tt.contentType, tt.body)
			assert.Equal(t, tt.status, resp.StatusCode, "%v", v)
			assert.Equal(t, tt.shape, shape(v))
		})
	}
	assert.Equal(t, uint64(len(tests)), s.Counts().Total())
	assert.Equal(t, uint64(3), s.Orders())
}

func TestMethodNotAllowedTellsWhich(t *testing.T) {
	_, server := listen(t, shop.Options{})
	for path, allow := range map[string]string{
		"/": "GET, HEAD", "/api/orders": "GET, HEAD, POST", "/api/customers/1": "GET, HEAD",
	} {
		resp, _ := do(t, server, http.MethodPut, path, "", "")
		assert.Equal(t, 405, resp.StatusCode)
		assert.Equal(t, allow, resp.Header.Get("Allow"), path)
	}
}

func TestIDsAreTheRowsOwn(t *testing.T) {
	_, server := listen(t, shop.Options{})
	for path, rows := range map[string]int{"products": 6, "types": 3, "customers": 1000, "orders": 1000} {
		for id := 1; id <= rows; id += max(1, rows/20) {
			_, v := do(t, server, http.MethodGet, fmt.Sprintf("/api/%s/%d", path, id), "", "")
			assert.EqualValues(t, id, v.(map[string]any)["id"], path)
		}
	}
}

// Two shops have the same to sell, and say the same about it everywhere.
func TestDataIsDeterministicAndConsistent(t *testing.T) {
	_, first := listen(t, shop.Options{Seed: 1})
	_, second := listen(t, shop.Options{Seed: 2})
	for _, path := range []string{"/api/stats", "/api/products", "/api/types/2", "/api/customers/77", "/api/orders/901"} {
		_, a := do(t, first, http.MethodGet, path, "", "")
		_, b := do(t, second, http.MethodGet, path, "", "")
		assert.Equal(t, a, b, path)
	}
	get := func(path string) any {
		_, v := do(t, first, http.MethodGet, path, "", "")
		return v
	}
	var revenue, sold float64
	for id := 1; id <= 1000; id++ {
		order := get(fmt.Sprintf("/api/orders/%d", id)).(map[string]any)
		for _, l := range order["lines"].([]any) {
			line := l.(map[string]any)
			sold += line["amount"].(float64)
			revenue += line["amount"].(float64) * line["selling_price"].(float64)
		}
	}
	var listed float64
	for _, p := range get("/api/products").([]any) {
		listed += p.(map[string]any)["sold"].(float64)
	}
	assert.Equal(t, sold, listed)
	assert.Equal(t, revenue, get("/api/stats").(map[string]any)["numbers"].(map[string]any)["revenue"])
}

func TestOrdersAreNumbered(t *testing.T) {
	s, server := listen(t, shop.Options{})
	for i := range 3 {
		_, v := do(t, server, http.MethodPost, "/api/orders", "application/json", `{"customer_id":5,"lines":[{"id":2,"amount":3}]}`)
		assert.Equal(t, map[string]any{"id": float64(1001 + i)}, v)
	}
	assert.Equal(t, uint64(3), s.Orders())
}

func TestBadOrders(t *testing.T) {
	const jsonType = "application/json"
	lines := func(n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(`{"id":1,"amount":1},`, n), ",") + "]"
	}
	tests := []struct {
		name, contentType, body string
		status                  int
		reason                  string
	}{
		{"text", "text/plain", `{"customer_id":5,"lines":[{"id":2,"amount":3}]}`, 400, "content type must be application/json"},
		{"no type", "", `{}`, 400, "content type must be application/json"},
		{"empty", jsonType, ``, 400, "not an order"},
		{"not JSON", jsonType, `customer_id=5`, 400, "not an order"},
		{"more", jsonType, `{"customer_id":5,"lines":[{"id":2,"amount":3}]} {}`, 400, "not an order"},
		{"fraction", jsonType, `{"customer_id":5,"lines":[{"id":2,"amount":0.5}]}`, 400, "not an order"},
		{"no customer", jsonType, `{"lines":[{"id":2,"amount":3}]}`, 400, "customer_id must be from 1 to 1000, not 0"},
		{"unknown customer", jsonType, `{"customer_id":1001,"lines":[{"id":2,"amount":3}]}`, 400, "not 1001"},
		{"no lines", jsonType, `{"customer_id":1}`, 400, "from 1 to 100 lines, not 0"},
		{"many lines", jsonType, `{"customer_id":1,"lines":` + lines(101) + `}`, 400, "from 1 to 100 lines, not 101"},
		{"unknown product", jsonType, `{"customer_id":1,"lines":[{"id":2,"amount":3},{"id":7,"amount":3}]}`, 400, "line 2: id must be from 1 to 6, not 7"},
		{"no amount", jsonType, `{"customer_id":1,"lines":[{"id":2}]}`, 400, "line 1: amount must be from 1 to 1000, not 0"},
		{"large", jsonType, `{"customer_id":1,"lines":[` + strings.Repeat(" ", 70_000) + `]}`, 413, "at most 65536 bytes"},
	}
	s, server := listen(t, shop.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, v := do(t, server, http.MethodPost, "/api/orders", tt.contentType, tt.body)
			assert.Equal(t, tt.status, resp.StatusCode)
			assert.Contains(t, v.(map[string]any)["error"], tt.reason)
		})
	}
	assert.Zero(t, s.Orders())
}

func TestBadCSVOrders(t *testing.T) {
	tests := []struct {
		name, customer, filename, fileType, csv string
		status                                  int
		reason                                  string
	}{
		{"no customer", "", "data.csv", "text/plain", "1,1", 400, "no field customer"},
		{"customer", "Ada", "data.csv", "text/plain", "1,1", 400, `customer must be a number, not "Ada"`},
		{"unknown customer", "1001", "data.csv", "text/plain", "1,1", 400, "not 1001"},
		{"no file", "1", "", "", "", 400, "no file data.csv"},
		{"other file", "1", "data.txt", "text/plain", "1,1", 400, "no file data.csv"},
		{"type", "1", "data.csv", "text/csv", "1,1", 400, "text/plain"},
		{"empty", "1", "data.csv", "text/plain", "", 400, "from 1 to 100 lines"},
		{"header", "1", "data.csv", "text/plain", "id,amount\n1,1", 400, `line 1 of data.csv must be id,amount, not "id,amount"`},
		{"half a line", "1", "data.csv", "text/plain", "1,1\n2", 400, `line 2 of data.csv`},
		{"long line", "1", "data.csv", "text/plain", strings.Repeat("1", 65_000), 400, `line 1 of data.csv`},
		{"large", "1", "data.csv", "text/plain", strings.Repeat("1,1\n", 20_000), 413, "at most 65536 bytes"},
	}
	s, server := listen(t, shop.Options{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			contentType, body := form(tt.customer, tt.filename, tt.fileType, tt.csv)
			resp, v := do(t, server, http.MethodPost, "/api/orders/csv", contentType, body)
			assert.Equal(t, tt.status, resp.StatusCode)
			message := v.(map[string]any)["error"].(string)
			assert.Contains(t, message, tt.reason)
			assert.Less(t, len(message), 200)
		})
	}
	for name, contentType := range map[string]string{
		"boundary": "multipart/form-data", "content type": "application/json", "form": "multipart/form-data; boundary=x",
	} {
		resp, v := do(t, server, http.MethodPost, "/api/orders/csv", contentType, "nonsense")
		assert.Equal(t, 400, resp.StatusCode)
		assert.Contains(t, v.(map[string]any)["error"], name)
	}
	assert.Zero(t, s.Orders())
}

func TestSessions(t *testing.T) {
	s, server := listen(t, shop.Options{})
	seen := map[string]bool{}
	for range 3 {
		resp, page := do(t, server, http.MethodGet, "/", "", "")
		assert.Contains(t, page, "<h1>The bean shop</h1>")
		require.Len(t, resp.Cookies(), 1)
		cookie := resp.Cookies()[0]
		seen[cookie.Value] = true

		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
		require.NoError(t, err)
		req.AddCookie(cookie)
		resp, err = server.Client().Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Empty(t, resp.Cookies(), "a client with a session keeps it")
	}
	assert.Len(t, seen, 3)
	assert.Equal(t, uint64(3), s.Sessions())
}

func TestCounts(t *testing.T) {
	s, server := listen(t, shop.Options{})
	assert.Empty(t, s.Counts())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				for _, path := range []string{"/", fmt.Sprintf("/api/customers/%d", 991+i), "/nowhere", "/oopsie"} {
					resp, err := server.Client().Get(server.URL + path) //nolint:noctx // it is short
					if assert.NoError(t, err) {
						_ = resp.Body.Close()
					}
				}
			}
		})
	}
	wg.Wait()
	counts := s.Counts()
	assert.Equal(t, shop.Counts{
		{Route: "GET /", Status: 200}:                   200,
		{Route: "GET /api/customers/{id}", Status: 200}: 40,
		{Route: "GET /api/customers/{id}", Status: 404}: 160,
		{Route: "GET /oopsie", Status: 500}:             200,
		{Route: "/", Status: 404}:                       200,
	}, counts)
	assert.Equal(t, uint64(800), counts.Total())
	assert.Equal(t, uint64(360), counts.Status(404))
	assert.Equal(t, uint64(200), counts.Route("GET /api/customers/{id}"))
	assert.Zero(t, counts.Route("GET /api/stats"))
}

func TestErrorRate(t *testing.T) {
	failures := func(seed uint64) (statuses []int, failed uint64) {
		s := shop.New(shop.Options{Seed: seed, ErrorRate: 0.1})
		for range 2000 {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/stats", nil))
			statuses = append(statuses, w.Code)
		}
		return statuses, s.Counts().Status(500)
	}
	first, failed := failures(1)
	assert.InDelta(t, 200, failed, 60)
	again, _ := failures(1)
	assert.Equal(t, first, again)
	other, _ := failures(2)
	assert.NotEqual(t, first, other)

	s := shop.New(shop.Options{ErrorRate: 1})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/orders",
		strings.NewReader(`{"customer_id":1,"lines":[{"id":2,"amount":3}]}`)))
	assert.Equal(t, 500, w.Code)
	assert.Zero(t, s.Orders(), "an order that failed is not taken")
}
