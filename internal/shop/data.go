package shop

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

const (
	numProducts  = 6
	numTypes     = 3
	numCustomers = 1000
	numOrders    = 1000
)

// data is everything the shop has, as the JSON that it answers with.
type data struct {
	stats, top                body
	products, types           *table
	typeDetails, orderDetails *table
	customers, orders         *table
	buyers                    [numProducts]*table // customers, by product
}

// table is a JSON array whose rows, and whose first rows, are bodies without
// copying.
type table struct {
	array []byte // "[row,row,…]"
	ends  []int  // where each row ends in it
	rows  []body
}

func newTable[T any](items []T) *table {
	t := &table{array: []byte{'['}}
	for i, item := range items {
		if i > 0 {
			t.array = append(t.array, ',')
		}
		t.array = append(t.array, marshal(item)...)
		t.ends = append(t.ends, len(t.array))
	}
	t.array = append(t.array, ']')
	start := 1
	for _, end := range t.ends {
		t.rows = append(t.rows, newBody(jsonType, t.array[start:end:end]))
		start = end + 1
	}
	return t
}

// find returns the index of an id, which counts from 1.
func (t *table) find(id string) (int, bool) {
	n, err := strconv.Atoi(id)
	return n - 1, err == nil && n >= 1 && n <= len(t.rows)
}

func (t *table) row(i int) body { return t.rows[i] }

func (t *table) all() body { return newBody(jsonType, t.array) }

// first is an array of the first n rows, or of all if there are fewer.
func (t *table) first(n int) body {
	if n >= len(t.ends) {
		return t.all()
	}
	b := newBody(jsonType, t.array[:t.ends[n-1]])
	b.tail = t.array[len(t.array)-1:]
	b.length = []string{strconv.Itoa(len(b.bytes) + 1)}
	return b
}

const jsonType = "application/json"

func newBody(contentType string, b []byte) body {
	return body{bytes: b, contentType: []string{contentType}, length: []string{strconv.Itoa(len(b))}}
}

func jsonBody(v any) body { return newBody(jsonType, marshal(v)) }

// marshal is for values that can always be JSON.
func marshal(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSpace(buf.Bytes())
}

type product struct {
	ID          int    `json:"id"`
	SKU         string `json:"sku"`
	Name        string `json:"name"`
	Description string `json:"description"`
	TypeID      int    `json:"type_id"`
	TypeName    string `json:"type_name"`
	Cost        int    `json:"cost"` // this and other money in cents
	Price       int    `json:"selling_price"`
	Stock       int    `json:"stock"`
	Sold        int    `json:"sold"`
}

type productType struct {
	ID   int    `json:"id"`
	Name string `json:"name"`
}

type typeDetail struct {
	productType
	Products []product `json:"products"`
}

type customer struct {
	ID         int    `json:"id"`
	Name       string `json:"full_name"`
	Company    string `json:"company_name"`
	Email      string `json:"email"`
	Address    string `json:"address"`
	PostalCode string `json:"postal_code"`
	City       string `json:"city"`
	Country    string `json:"country"`
}

type order struct {
	ID         int       `json:"id"`
	CustomerID int       `json:"customer_id"`
	Customer   string    `json:"customer_name"`
	Created    time.Time `json:"created_at"`
}

type orderDetail struct {
	order
	Lines []orderLine `json:"lines"`
}

type orderLine struct {
	Product int    `json:"id"`
	Name    string `json:"name"`
	Amount  int    `json:"amount"`
	Price   int    `json:"selling_price"`
}

func catalog() (types [numTypes]productType, products [numProducts]product) {
	types = [numTypes]productType{{1, "Light Roast"}, {2, "Medium Roast"}, {3, "Dark Roast"}}
	products = [numProducts]product{
		{Name: "Harbour Fog", Description: "Bergamot and apricot, roasted before the ships come in.", TypeID: 1, Cost: 640, Price: 1290},
		{Name: "Paper Lantern", Description: "A quiet washed coffee with jasmine and a long finish.", TypeID: 1, Cost: 710, Price: 1450},
		{Name: "Second Breakfast", Description: "Hazelnut, brown sugar, no surprises. For filter and for guests.", TypeID: 2, Cost: 480, Price: 990},
		{Name: "Night Tram", Description: "Cocoa and plum. Keeps you up until the last stop.", TypeID: 2, Cost: 520, Price: 1090},
		{Name: "Coal Cellar", Description: "Smoke, molasses, and very little else.", TypeID: 3, Cost: 430, Price: 890},
		{Name: "Unit Test", Description: "A small, dark, dependable espresso that is always the same.", TypeID: 3, Cost: 450, Price: 940},
	}
	for i := range products {
		p := &products[i]
		p.ID = i + 1
		p.SKU = fmt.Sprintf("BEAN-%02d-%03d", p.TypeID, 100+17*i)
		p.TypeName = types[p.TypeID-1].Name
		p.Stock = 40 + 37*i
	}
	return types, products
}

// newData stocks the shop, always in the same way.
func newData() *data {
	rnd := rand.New(rand.NewPCG(1, 2))
	types, products := catalog()
	customers := make([]customer, numCustomers)
	for i := range customers {
		customers[i] = newCustomer(i+1, rnd)
	}

	orders := make([]order, numOrders)
	details := make([]orderDetail, numOrders)
	var buyers [numProducts][]customer
	var bought [numProducts][numCustomers]bool
	revenue, cost := 0, 0
	opened := time.Date(2025, time.January, 6, 8, 0, 0, 0, time.UTC)
	for i := range orders {
		c := &customers[rnd.IntN(numCustomers)]
		opened = opened.Add(time.Duration(60+rnd.IntN(7200)) * time.Second)
		orders[i] = order{ID: i + 1, CustomerID: c.ID, Customer: c.Name, Created: opened}
		details[i].order = orders[i]
		for _, at := range rnd.Perm(numProducts)[:1+rnd.IntN(5)] {
			p := &products[at]
			amount := 1 + rnd.IntN(4)
			details[i].Lines = append(details[i].Lines, orderLine{p.ID, p.Name, amount, p.Price})
			p.Sold += amount
			revenue += amount * p.Price
			cost += amount * p.Cost
			if !bought[at][c.ID-1] {
				bought[at][c.ID-1] = true
				buyers[at] = append(buyers[at], *c)
			}
		}
	}

	d := &data{
		products:     newTable(products[:]),
		types:        newTable(types[:]),
		customers:    newTable(customers),
		orders:       newTable(orders),
		orderDetails: newTable(details),
		typeDetails:  newTable(byType(types[:], products[:])),
	}
	for i := range buyers {
		d.buyers[i] = newTable(buyers[i])
	}
	top := slices.SortedFunc(slices.Values(products[:]), func(a, b product) int { return b.Sold - a.Sold })
	d.top = newTable(top).first(3)
	d.stats = jsonBody(map[string]any{
		"products": numProducts, "customers": numCustomers, "orders": numOrders,
		"numbers": map[string]int{"revenue": revenue, "cost": cost, "profit": revenue - cost},
	})
	return d
}

func byType(types []productType, products []product) []typeDetail {
	details := make([]typeDetail, len(types))
	for i, t := range types {
		details[i].productType = t
		for _, p := range products {
			if p.TypeID == t.ID {
				details[i].Products = append(details[i].Products, p)
			}
		}
	}
	return details
}

func newCustomer(id int, rnd *rand.Rand) customer {
	pick := func(from ...string) string { return from[rnd.IntN(len(from))] }
	places := [...][2]string{
		{"Bremen", "Germany"},
		{"Cork", "Ireland"},
		{"Ghent", "Belgium"},
		{"Lyon", "France"},
		{"Malmö", "Sweden"},
		{"Porto", "Portugal"},
		{"Tartu", "Estonia"},
		{"Turin", "Italy"},
	}
	given := pick("Ada", "Bruno", "Chiara", "Dagny", "Emeka", "Fumiko", "Goran", "Hana", "Ilse", "Jonas",
		"Kofi", "Leila", "Marek", "Nadia", "Oskar", "Priya", "Quentin", "Rosa", "Sanne", "Tariq")
	family := pick("Abara", "Brandt", "Castell", "Dvorak", "Eklund", "Ferrow", "Grimaud", "Hollis", "Ito",
		"Jansky", "Kowal", "Lindqvist", "Moreau", "Novak", "Okafor", "Perrin", "Rask", "Sato", "Teller", "Varga")
	place := places[rnd.IntN(len(places))]
	return customer{
		ID:         id,
		Name:       given + " " + family,
		Company:    pick("Blue", "Third", "Copper", "North", "Open") + " " + pick("Kettle", "Ledger", "Bridge", "Engine", "Garden") + " " + pick("Ltd", "GmbH", "SA", "Oy"),
		Email:      fmt.Sprintf("customer%d@shop.example", id),
		Address:    fmt.Sprintf("%d %s Street", 1+rnd.IntN(180), pick("Mill", "Station", "Canal", "Orchard", "Chapel", "Market")),
		PostalCode: fmt.Sprintf("%05d", 10000+rnd.IntN(80000)),
		City:       place[0],
		Country:    place[1],
	}
}
