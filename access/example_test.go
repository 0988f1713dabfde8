package access_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/access"
	"github.com/opbeans/loadgen/httpapi"
)

func ExampleNew() {
	m := loadgen.New()
	defer m.Close()
	gate, err := access.New(httpapi.New(m), access.WithToken("open-sesame"), access.WithPublic("/healthz"))
	if err != nil {
		log.Fatal(err)
	}
	ask := func(path, authorization string) int {
		r := httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		gate.ServeHTTP(w, r)
		return w.Code
	}
	fmt.Println(ask("/healthz", ""), ask("/api/list", ""), ask("/api/list", "Bearer open-sesame"))
	// Output: 200 401 200
}
