package route

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"strings"

	"github.com/fedora-infra/fedmsg-go/query"
)

// DefaultLimit is how many messages a page has if nobody says.
const DefaultLimit = 25

// object is a JSON object of a description.
type object = map[string]any

// OpenAPI describes all routes, in OpenAPI 3.1.
func (s *Set) OpenAPI() []byte {
	paths := object{}
	for i := range s.Routes {
		rt := &s.Routes[i]
		method, op := strings.ToLower(cmp.Or(rt.Method, "GET")), rt.operation()
		if others, ok := paths[rt.Path].(object); ok {
			op["operationId"] = op["operationId"].(string) + "-" + method
			others[method] = op
			continue
		}
		paths[rt.Path] = object{method: op}
	}
	return append(JSON(object{
		"openapi": "3.1.0",
		"info": object{
			"title": "fedmsg", "version": "1",
			"description": "Messages of the bus: published, read, followed, and found again.",
			"license":     object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"paths":      paths,
		"components": object{"schemas": schemas},
	}), '\n')
}

var pathParameter = regexp.MustCompile(`\{([a-z]+)\.*\}`)

// operation describes a route.
func (rt *Route) operation() object {
	parameters := []object{}
	for _, m := range pathParameter.FindAllStringSubmatch(rt.Path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	own := make(map[string]Param)
	for _, p := range rt.Params {
		own[p.Name] = p
	}
	for _, name := range rt.Names() {
		p, isOwn := own[name]
		described := object{"name": name, "in": "query"}
		if isOwn {
			described["description"], described["schema"] = p.About, p.schema()
		} else {
			described["description"], described["schema"] = asked(name)
		}
		if schema, _ := described["schema"].(object); schema["type"] == "array" {
			described["style"], described["explode"] = "form", !isOwn
		}
		parameters = append(parameters, described)
	}
	members := object{}
	for name := range strings.FieldsSeq(rt.Tells) {
		members[name] = object{}
		if name == "messages" {
			members[name] = object{"type": "array", "items": object{"$ref": "#/components/schemas/element"}}
		}
	}
	content := object{}
	if rt.Serve == nil {
		schema := object{"type": "object", "properties": members}
		if rt.Tells == "" {
			schema = object{"$ref": "#/components/schemas/element"}
		}
		content["application/json"] = object{"schema": schema}
	}
	for _, media := range rt.Gives {
		content[media] = object{}
	}
	op := object{
		"summary":     rt.About,
		"operationId": strings.Trim(regexp.MustCompile(`[^a-z]+`).ReplaceAllString(strings.TrimPrefix(rt.Path, "/api/v1/"), "-"), "-"),
		"parameters":  parameters,
		"responses": object{
			cmp.Or(rt.Status, "200"): object{"description": "what was asked for", "content": content},
			"default": object{"description": "a problem", "content": object{
				"application/problem+json": object{"schema": object{"$ref": "#/components/schemas/problem"}}}},
		},
	}
	if rt.Method == "POST" || rt.Method == "PUT" {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": object{"type": "object"}}}}
	}
	return op
}

// schema describes the values of a parameter.
func (p Param) schema() object {
	s := object{"type": "string"}
	item := object{"type": "string"}
	switch p.Kind {
	case Whole:
		s = object{"type": "integer", "minimum": p.Low, "maximum": p.High}
	case Choice:
		s["enum"] = p.Of
	case Choices:
		item["enum"] = p.Of
		s = object{"type": "array", "items": item}
	case Columns:
		item = object{"anyOf": []object{{"enum": p.Of}, {"pattern": `^(body|header)\..+$`}}}
		s = object{"type": "array", "items": item}
	}
	switch {
	case p.Preset == "":
	case p.Kind == Choices:
		s["default"] = strings.Split(p.Preset, ",")
	case p.Kind == Whole:
		s["default"] = json.Number(p.Preset)
	default:
		s["default"] = p.Preset
	}
	return s
}

// asked describes a parameter of package query.
func asked(name string) (about string, schema object) {
	one, many := object{"type": "string"}, object{"type": "array", "items": object{"type": "string"}}
	switch name {
	case "q":
		return "a search line; its language is in docs/query.md", one
	case "limit":
		return "how many messages a page has", object{"type": "integer", "minimum": 1, "maximum": query.MaxLimit, "default": DefaultLimit}
	case "cursor":
		return "next or prev of an answer to the same query", one
	}
	plain, isNot := strings.CutPrefix(name, "not_")
	for _, k := range query.Keys() {
		if plain != k.Name && plain != k.Alias {
			continue
		}
		switch {
		case k.Field == "":
			return k.About, one
		case isNot:
			return "not " + k.About + "; may be given several times, and none may hold", many
		}
		return k.About + "; may be given several times, and one must hold", many
	}
	return "", one
}

// schemas are what several answers have.
var schemas = object{
	"element": object{
		"type": "object", "description": "a message with what the bus adds to it",
		"properties": object{
			"seq":      object{"type": "integer", "description": "its place in the log; 0 if it has none"},
			"at":       object{"type": "string", "format": "date-time", "description": "when the bus took it"},
			"verified": object{"type": "string", "description": "what it was checked against"},
			"message":  object{"type": "object", "description": "what the publisher said"},
			"meta":     object{"type": "object", "description": "what it means to people"},
			"values":   object{"type": "object", "description": "what lies at the paths that were asked for"},
			"cursor":   object{"type": "string", "description": "in an export, now and then: where to go on after this message"},
		},
	},
	"problem": object{
		"type": "object", "description": "RFC 9457",
		"properties": object{
			"type": object{"type": "string"}, "title": object{"type": "string"}, "status": object{"type": "integer"}, "detail": object{"type": "string"},
			"code":     object{"type": "string", "description": "a stable word; docs/wire.md has them all"},
			"field":    object{"type": "string", "description": "the parameter or field at fault"},
			"line":     object{"type": "string", "description": "the value that was read"},
			"position": object{"type": "integer", "description": "where in line the fault begins, in bytes"},
			"length":   object{"type": "integer", "description": "how long it is; 0 where something is missing"},
			"hint":     object{"type": "string", "description": "what to do"},
		},
		"required": []string{"type", "title", "status", "code"},
	},
}

// JSON encodes what can be encoded, in one line.
func JSON(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // cannot be: our own structs
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
