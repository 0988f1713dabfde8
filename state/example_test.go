package state_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"testing/fstest"
	"time"

	"github.com/opbeans/loadgen"
	"github.com/opbeans/loadgen/state"
)

// A program that is killed and started again has its jobs back.
func Example() {
	dir, err := os.MkdirTemp("", "state")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	scenarios := fstest.MapFS{"shop.yaml": {Data: []byte("tasks: [{name: root, request: GET /}]")}}

	program := func(use func(m *loadgen.Manager)) {
		store, err := state.Open(dir)
		if err != nil {
			log.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		m := loadgen.New(loadgen.WithScenarios(scenarios), loadgen.WithOnEnd(store.Ended))
		defer m.Close()
		if err := store.Attach(m, true); err != nil {
			log.Fatal(err)
		}
		use(m)
		store.Suspend() // what runs now is to run on next time
	}
	program(func(m *loadgen.Manager) {
		_, err := m.Start(context.Background(), loadgen.JobConfig{
			Name: "shop", ScenarioName: "shop", BaseURL: "http://localhost:8000", Workers: 3, Delay: time.Hour,
		})
		if err != nil {
			log.Fatal(err)
		}
	})
	program(func(m *loadgen.Manager) {
		for _, j := range m.List() {
			fmt.Println(j.Name(), j.Status().State, j.Status().Reason, j.Config().Workers)
		}
	})
	// Output: shop running resumed 3
}
