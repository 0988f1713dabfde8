package loadgen_test

import (
	"context"
	"fmt"
	"log"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing/fstest"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/internal/shop"
)

// runShop runs a scenario against a small shop.
func runShop(s *loadgen.Scenario, cfg loadgen.JobConfig, opts ...loadgen.Option) *loadgen.Snapshot {
	target := httptest.NewServer(shop.New(shop.Options{}))
	defer target.Close()
	cfg.Scenario, cfg.BaseURL = s, target.URL
	snap, err := loadgen.Run(context.Background(), cfg, opts...)
	if err != nil {
		panic(err)
	}
	return snap
}

// Each VU logs in once; its cookies and values last for all of its iterations.
func ExampleScenario_VUSetup() {
	s := loadgen.NewScenario("account").
		VUSetup(func(ctx context.Context, vu *loadgen.VU) error {
			login := &loadgen.Request{Method: http.MethodPost, URL: "/api/login", Expect: loadgen.ExpectSuccess, ReadBody: true}
			login.SetForm(url.Values{"user": {fmt.Sprintf("user%d", vu.ID())}, "password": {"secret"}})
			resp, err := vu.Do(ctx, login)
			if err != nil {
				return err
			}
			token, err := resp.JSON("$.token")
			vu.SetValue("token", token)
			return err
		}).
		Task("account", 1, func(ctx context.Context, vu *loadgen.VU) error {
			r := &loadgen.Request{URL: "/api/account", Expect: loadgen.ExpectSuccess}
			r.SetBearer(vu.Value("token").(string))
			_, err := vu.Do(ctx, r)
			return err
		}).
		VUTeardown(func(ctx context.Context, vu *loadgen.VU) error {
			_, err := vu.Do(ctx, &loadgen.Request{Method: http.MethodDelete, URL: "/api/login", Expect: loadgen.ExpectSuccess})
			return err
		})
	snap := runShop(s, loadgen.JobConfig{Workers: 1, MaxIterations: 10})
	fmt.Println(snap.Iterations, "iterations,", snap.FailedRequests, "failed requests")
	for _, t := range snap.Tasks {
		fmt.Println(t.Task, t.Requests)
	}
	// Unordered output:
	// 10 iterations, 0 failed requests
	// (vu_setup) 1
	// account 10
	// (vu_teardown) 1
}

// What the job's set-up finds out, every VU knows.
func ExampleScenario_Setup() {
	s := loadgen.NewScenario("customers").
		Setup(func(ctx context.Context, vu *loadgen.VU) error {
			resp, err := vu.Do(ctx, &loadgen.Request{URL: "/api/stats", Expect: loadgen.ExpectSuccess, ReadBody: true})
			if err != nil {
				return err
			}
			n, err := resp.JSON("$.customers")
			vu.SetValue("customers", n)
			return err
		}).
		Task("customer", 1, func(ctx context.Context, vu *loadgen.VU) error {
			return vu.Get(ctx, fmt.Sprintf("/api/customers/%d", 1+vu.Rand().IntN(vu.Value("customers").(int))))
		}).
		Teardown(func(context.Context, *loadgen.VU) error {
			fmt.Println("everybody has left")
			return nil
		})
	fmt.Println(runShop(s, loadgen.JobConfig{MaxIterations: 20}).Status)
	// Output:
	// everybody has left
	// map[200:21]
}

// A feeder gives each iteration a row of a file.
func ExampleScenario_Feeder() {
	folder := fstest.MapFS{"orders.csv": {Data: []byte("customer,product\n7,1\n8,6\n9,2\n")}} // or os.DirFS("testdata")
	s := loadgen.NewScenario("orders").
		Feeder("orders", loadgen.Feeder{FS: folder, File: "orders.csv", AtEnd: loadgen.FeedStop}).
		Task("look", 1, func(ctx context.Context, vu *loadgen.VU) error {
			row, err := vu.Row("orders")
			if err != nil {
				return err // of no more rows, which ends the job
			}
			return vu.Get(ctx, "/api/products/"+row.Get("product")+"?for="+row.Get("customer"))
		})
	snap := runShop(s, loadgen.JobConfig{})
	fmt.Println(snap.Iterations, snap.Reason)
	// Output: 3 feeder "orders" has given out all its 3 rows
}

// A group is measured on its own, without the think time in it.
func ExampleVU_Group() {
	s := loadgen.NewScenario("shop").Task("visit", 1, func(ctx context.Context, vu *loadgen.VU) error {
		if err := vu.Get(ctx, "/"); err != nil {
			return err
		}
		return vu.Group(ctx, "browse", func(ctx context.Context) error {
			if err := vu.Get(ctx, "/api/products"); err != nil {
				return err
			}
			if err := vu.Think(ctx, 10*time.Millisecond, 20*time.Millisecond); err != nil {
				return err
			}
			return vu.Get(ctx, "/api/products/1")
		})
	})
	snap := runShop(s, loadgen.JobConfig{MaxIterations: 5})
	for _, g := range snap.Groups {
		fmt.Println(g.Group, g.Count, g.Failed, g.Time.Max() < snap.Response.Min())
	}
	// Output: browse 5 0 true
}

// Think waits as a user would, for longer and shorter.
func ExampleVU_Think() {
	snap := once(func(ctx context.Context, vu *loadgen.VU) error {
		return vu.Think(ctx, 8*time.Millisecond, 12*time.Millisecond)
	})
	fmt.Println(snap.Response.Min() >= 8*time.Millisecond)
	// Output: true
}

// A task that plays a stranger begins with a new session.
func ExampleVU_NewSession() {
	s := loadgen.NewScenario("strangers").Task("visit", 1, func(ctx context.Context, vu *loadgen.VU) error {
		vu.NewSession()
		if err := vu.Get(ctx, "/"); err != nil {
			return err
		}
		return vu.Check(vu.Cookie("/", "shop_session") != "", "the shop gives no session")
	})
	fmt.Println(runShop(s, loadgen.JobConfig{MaxIterations: 5}).FailedIterations)
	// Output: 0
}

// A cookie that the VU has for a URL.
func ExampleVU_Cookie() {
	s := loadgen.NewScenario("home").Task("visit", 1, func(ctx context.Context, vu *loadgen.VU) error {
		before := vu.Cookie("/", "shop_session")
		err := vu.Get(ctx, "/")
		fmt.Println(before == "", vu.Cookie("/", "shop_session") == "")
		return err
	})
	runShop(s, loadgen.JobConfig{MaxIterations: 1})
	// Output: true false
}

// Secrets come from the environment, and show nowhere.
func ExampleScenario_Secret() {
	s := loadgen.NewScenario("account").
		Secret("SHOP_PASSWORD").
		Task("account", 1, func(ctx context.Context, vu *loadgen.VU) error {
			r := &loadgen.Request{URL: "/api/account", Expect: loadgen.ExpectSuccess}
			r.SetBasicAuth("ada", vu.Secret("SHOP_PASSWORD"))
			if _, err := vu.Do(ctx, r); err != nil {
				return err
			}
			return fmt.Errorf("it was %s", vu.Secret("SHOP_PASSWORD"))
		})
	snap := runShop(s, loadgen.JobConfig{MaxIterations: 1}, loadgen.WithEnv(func(name string) (string, bool) {
		return "open sesame", name == "SHOP_PASSWORD" // mostly os.LookupEnv
	}))
	fmt.Println(snap.Status, snap.Errors[loadgen.ClassTask].Sample)
	// Output: map[200:1] it was REDACTED
}

// Files that a scenario names are read from its own folder.
func ExampleLoadScenario() {
	folder := fstest.MapFS{ // or os.DirFS("scenarios")
		"shop.yaml": {Data: []byte(`
feeders: {users: users.csv}
tasks:
  - name: account
    request: GET /api/account
    auth: {user: "${users.name}", password: "${users.password}"}
`)},
		"users.csv": {Data: []byte("name,password\nada,secret\nbruno,hidden\n")},
	}
	s, err := loadgen.LoadScenario(folder, "shop.yaml")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Name(), runShop(s, loadgen.JobConfig{MaxIterations: 4}).Status)
	// Output: shop map[200:4]
}

// Captures in Go: from JSON, a header, the text, a cookie.
func ExampleResponse_JSON() {
	title := regexp.MustCompile("<title>(.*?)</title>")
	s := loadgen.NewScenario("captures").Task("task", 1, func(ctx context.Context, vu *loadgen.VU) error {
		home, err := vu.Do(ctx, &loadgen.Request{URL: "/", ReadBody: true})
		if err != nil {
			return err
		}
		products, err := vu.Do(ctx, &loadgen.Request{URL: "/api/products", ReadBody: true})
		if err != nil {
			return err
		}
		id, err := products.JSON("$.0.id")
		fmt.Println(id, products.Header.Get("Content-Type"), len(title.FindSubmatch(home.Body)))
		return err
	})
	runShop(s, loadgen.JobConfig{MaxIterations: 1})
	// Output: 1 application/json 2
}

func ExampleRequest_SetJSON() {
	s := loadgen.NewScenario("orders").Task("order", 1, func(ctx context.Context, vu *loadgen.VU) error {
		r := &loadgen.Request{Method: http.MethodPost, URL: "/api/orders", Expect: loadgen.ExpectSuccess}
		err := r.SetJSON(map[string]any{"customer_id": 7, "lines": []any{map[string]int{"id": 1, "amount": 2}}})
		if err != nil {
			return err
		}
		_, err = vu.Do(ctx, r)
		return err
	})
	fmt.Println(runShop(s, loadgen.JobConfig{MaxIterations: 3}).Status)
	// Output: map[200:3]
}

func ExampleRequest_SetMultipart() {
	s := loadgen.NewScenario("notes").Task("note", 1, func(ctx context.Context, vu *loadgen.VU) error {
		r := &loadgen.Request{Method: http.MethodPost, URL: "/api/orders/csv", Expect: loadgen.ExpectSuccess}
		err := r.SetMultipart(func(w *multipart.Writer) error {
			if err := w.WriteField("customer", "7"); err != nil {
				return err
			}
			part, err := w.CreatePart(map[string][]string{
				"Content-Disposition": {`form-data; name="file"; filename="data.csv"`}, "Content-Type": {"text/plain"},
			})
			if err != nil {
				return err
			}
			_, err = part.Write([]byte("1,2\n6,1\n"))
			return err
		})
		if err != nil {
			return err
		}
		_, err = vu.Do(ctx, r)
		return err
	})
	fmt.Println(runShop(s, loadgen.JobConfig{MaxIterations: 3}).Status)
	// Output: map[200:3]
}
