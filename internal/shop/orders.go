package shop

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxOrderBody  = 64 << 10
	maxOrderLines = 100
	maxAmount     = 1000
)

// newOrder is the body of an order.
type newOrder struct {
	Customer int       `json:"customer_id"`
	Lines    []newLine `json:"lines"`
}

type newLine struct {
	Product int `json:"id"`
	Amount  int `json:"amount"`
}

// check says what is wrong with an order, or nil.
func (o *newOrder) check() error {
	if o.Customer < 1 || o.Customer > numCustomers {
		return fmt.Errorf("customer_id must be from 1 to %d, not %d", numCustomers, o.Customer)
	}
	if len(o.Lines) == 0 || len(o.Lines) > maxOrderLines {
		return fmt.Errorf("an order has from 1 to %d lines, not %d", maxOrderLines, len(o.Lines))
	}
	for i, l := range o.Lines {
		if l.Product < 1 || l.Product > numProducts {
			return fmt.Errorf("line %d: id must be from 1 to %d, not %d", i+1, numProducts, l.Product)
		}
		if l.Amount < 1 || l.Amount > maxAmount {
			return fmt.Errorf("line %d: amount must be from 1 to %d, not %d", i+1, maxAmount, l.Amount)
		}
	}
	return nil
}

// order takes an order as JSON.
func (s *Shop) order(r *http.Request) answer {
	return s.take(r, "application/json", func(body io.Reader, _ map[string]string) (*newOrder, error) {
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		o := &newOrder{}
		if err := json.Unmarshal(data, o); err != nil {
			return nil, fmt.Errorf("the body is not an order: %w", err)
		}
		return o, nil
	})
}

// orderCSV takes an order as a form: a customer, and a file of lines "id,amount".
func (s *Shop) orderCSV(r *http.Request) answer {
	return s.take(r, "multipart/form-data", func(_ io.Reader, params map[string]string) (*newOrder, error) {
		if params["boundary"] == "" {
			return nil, errors.New("the content type has no boundary")
		}
		return readForm(r)
	})
}

// take reads an order in one form or the other, checks it, and gives it a number.
// Orders are counted, not kept: a shop under load does not grow.
func (s *Shop) take(
	r *http.Request, contentType string, read func(body io.Reader, params map[string]string) (*newOrder, error),
) answer {
	got, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || got != contentType {
		return failure(http.StatusBadRequest, "the content type must be %s, not %.40q", contentType, r.Header.Get("Content-Type"))
	}
	r.Body = http.MaxBytesReader(nil, r.Body, maxOrderBody)
	o, err := read(r.Body, params)
	if err == nil {
		err = o.check()
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return failure(http.StatusRequestEntityTooLarge, "an order has at most %d bytes", maxOrderBody)
	case err != nil:
		return failure(http.StatusBadRequest, "%v", err)
	}
	return answer{status: http.StatusOK, body: jsonBody(map[string]uint64{"id": numOrders + s.orders.Add(1)})}
}

func readForm(r *http.Request) (*newOrder, error) {
	form, err := r.MultipartReader()
	if err != nil {
		return nil, err
	}
	o := &newOrder{}
	var customer, file bool
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("the form cannot be read: %w", err)
		}
		switch {
		case part.FormName() == "customer" && part.FileName() == "":
			customer = true
			o.Customer, err = readNumber(part)
		case part.FileName() == "data.csv":
			file = true
			if t, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); t != "text/plain" {
				return nil, fmt.Errorf("data.csv must be text/plain, not %.40q", part.Header.Get("Content-Type"))
			}
			o.Lines, err = readLines(part)
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case !customer:
		return nil, errors.New("the form has no field customer")
	case !file:
		return nil, errors.New("the form has no file data.csv")
	}
	return o, nil
}

func readNumber(r io.Reader) (int, error) {
	text, err := io.ReadAll(io.LimitReader(r, 64))
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(text))
	if err != nil {
		return 0, fmt.Errorf("customer must be a number, not %.40q", text)
	}
	return n, nil
}

func readLines(r io.Reader) (lines []newLine, err error) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		id, amount, _ := strings.Cut(in.Text(), ",")
		var l newLine
		if l.Product, err = strconv.Atoi(id); err == nil {
			l.Amount, err = strconv.Atoi(amount)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d of data.csv must be id,amount, not %.40q", len(lines)+1, in.Text())
		}
		lines = append(lines, l)
	}
	return lines, in.Err()
}
