package curlcmd

import (
	"fmt"
	"strings"
)

// form reads NAME=CONTENT with its attributes, as in a=@file;type=text/csv.
func (r *Request) form(plain bool, given, value string, in source) error {
	name, rest, ok := strings.Cut(value, "=")
	if !ok {
		return fmt.Errorf("%s must be NAME=VALUE", given)
	}
	p := Part{Name: name}
	switch {
	case plain:
		p.Content = rest
		r.Parts = append(r.Parts, p)
		return nil
	case strings.HasPrefix(rest, "("), strings.HasPrefix(rest, ")"):
		return fmt.Errorf("%s %s nests parts, which a scenario cannot", given, clip(value))
	case strings.HasPrefix(rest, "@"), strings.HasPrefix(rest, "<"):
		for upload := rest[0] == '@'; ; {
			p := Part{Name: name}
			file, after := formWord(rest[1:], ";,")
			text, path := in.read(file)
			if p.Content, p.File = text, path; upload {
				base := file
				if path != "" {
					base = path[strings.LastIndexAny(path, `/\`)+1:]
				}
				p.Filename = &base
			}
			if after = r.attributes(&p, after, given); !upload {
				p.Filename = nil // curl sends the content alone
			}
			if upload && p.ContentType == "" {
				p.ContentType = fileType(*p.Filename, file)
			}
			r.Parts = append(r.Parts, p)
			if !strings.HasPrefix(after, ",") || !upload {
				return nil
			}
			r.leave("%s %s of curl: its files are parts of their own here, instead of one part of multipart/mixed", given, clip(value))
			rest = "@" + after[1:]
		}
	}
	var after string
	p.Content, after = formWord(rest, ";")
	r.attributes(&p, after, given)
	if p.ContentType == "" && p.Filename != nil {
		p.ContentType = knownType(*p.Filename)
	}
	r.Parts = append(r.Parts, p)
	return nil
}

// formWord reads up to one of the ends, or a text in quotes.
func formWord(s, ends string) (word, rest string) {
	trimmed := strings.TrimLeft(s, " \t")
	if strings.HasPrefix(trimmed, `"`) {
		var b strings.Builder
		for i := 1; i < len(trimmed); i++ {
			switch c := trimmed[i]; {
			case c == '\\' && i+1 < len(trimmed) && (trimmed[i+1] == '"' || trimmed[i+1] == '\\'):
				i++
				b.WriteByte(trimmed[i])
			case c == '"':
				rest := trimmed[i+1:]
				if end := strings.IndexAny(rest, ends); end >= 0 {
					return b.String(), rest[end:]
				}
				return b.String(), ""
			default:
				b.WriteByte(c)
			}
		}
	}
	end := strings.IndexAny(trimmed, ends)
	if end < 0 {
		return trimmed, ""
	}
	return trimmed[:end], trimmed[end:]
}

// attributes reads ;type=…;filename=…;headers=…, and returns what comes after a comma.
func (r *Request) attributes(p *Part, s, given string) string {
	for strings.HasPrefix(s, ";") {
		s = strings.TrimLeft(s[1:], " \t")
		key, _, _ := strings.Cut(s, "=")
		key = strings.ToLower(key)
		at := min(len(key)+1, len(s))
		var value string
		switch key {
		case "type":
			value, s = typeWord(s[at:])
			p.ContentType = value
		case "filename":
			value, s = formWord(s[at:], ";,")
			p.Filename = &value
		case "headers":
			value, s = formWord(s[at:], ";,")
			if name, v, ok := strings.Cut(value, ":"); ok && !strings.HasPrefix(value, "@") {
				p.Header = append(p.Header, Header{Name: strings.TrimSpace(name), Value: strings.TrimSpace(v)})
			} else {
				r.leave("%s ;headers=%s of curl: left out", given, clip(value))
			}
		default:
			value, s = formWord(s, ";,")
			if value = strings.TrimSpace(value); value != "" {
				r.leave("%s ;%s of curl: left out", given, clip(value))
			}
		}
	}
	return s
}

// typeWord reads a media type, which may have parameters after a semicolon.
func typeWord(s string) (kind, rest string) {
	kind, rest = formWord(s, ";,")
	for strings.HasPrefix(rest, ";") {
		parameter, after := formWord(rest[1:], ";,")
		key, _, ok := strings.Cut(strings.TrimSpace(parameter), "=")
		if key = strings.ToLower(key); !ok || key == "filename" || key == "headers" || key == "encoder" || key == "type" {
			break
		}
		kind, rest = kind+";"+parameter, after
	}
	return strings.TrimSpace(kind), rest
}

// knownType is the media type that curl gives to the ending of a name, or "".
func knownType(name string) string {
	lower := strings.ToLower(name)
	for _, t := range [][2]string{
		{".gif", "image/gif"},
		{".jpg", "image/jpeg"},
		{".jpeg", "image/jpeg"},
		{".png", "image/png"},
		{".svg", "image/svg+xml"},
		{".txt", "text/plain"},
		{".htm", "text/html"},
		{".html", "text/html"},
		{".pdf", "application/pdf"},
		{".xml", "application/xml"},
	} {
		if strings.HasSuffix(lower, t[0]) {
			return t[1]
		}
	}
	return ""
}

func fileType(names ...string) string {
	for _, name := range names {
		if t := knownType(name); t != "" {
			return t
		}
	}
	return "application/octet-stream"
}
