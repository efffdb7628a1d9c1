package document_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// jsonSchema checks values against a JSON Schema (draft 2020-12). It knows the
// keywords that the published schema uses, and refuses all others, so that
// nothing is silently not checked.
type jsonSchema struct{ root map[string]any }

func newJSONSchema(text []byte) (*jsonSchema, error) {
	s := &jsonSchema{}
	return s, json.Unmarshal(text, &s.root)
}

// check returns why the JSON text is not as the schema says.
func (s *jsonSchema) check(text []byte) error {
	var v any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return err
	}
	return s.value(s.root, v, "")
}

// value checks v against one schema.
func (s *jsonSchema) value(schema map[string]any, v any, path string) error {
	for _, keyword := range slices.Sorted(maps.Keys(schema)) {
		if err := s.keyword(keyword, schema, v, path); err != nil {
			return err
		}
	}
	return nil
}

func (s *jsonSchema) keyword(keyword string, schema map[string]any, v any, path string) error {
	wants := schema[keyword]
	ok := true
	switch keyword {
	case "$schema", "$id", "$defs", "title", "description", "default":
	case "$ref":
		name := strings.TrimPrefix(wants.(string), "#/$defs/")
		return s.value(s.root["$defs"].(map[string]any)[name].(map[string]any), v, path)
	case "type":
		ok = hasType(wants, v)
	case "const":
		ok = fmt.Sprint(v) == fmt.Sprint(wants) && jsonType(v) == jsonType(wants)
	case "enum":
		ok = slices.ContainsFunc(wants.([]any), func(allowed any) bool { return reflect.DeepEqual(allowed, v) })
	case "not":
		ok = s.value(wants.(map[string]any), v, path) != nil
	case "anyOf":
		ok = slices.ContainsFunc(wants.([]any), func(one any) bool { return s.value(one.(map[string]any), v, path) == nil })
	case "minLength", "maxLength", "pattern", "format", "contentEncoding":
		text, is := v.(string)
		ok = !is || checkText(keyword, wants, text)
	case "items":
		list, _ := v.([]any)
		for i, item := range list {
			if err := s.value(wants.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case "required", "minProperties", "maxProperties":
		object, is := v.(map[string]any)
		ok = !is || checkKeys(keyword, wants, object)
	case "properties", "patternProperties", "additionalProperties":
		object, _ := v.(map[string]any)
		return s.fields(keyword, schema, object, path)
	default:
		return fmt.Errorf("the checker does not know the keyword %q", keyword)
	}
	if !ok {
		return fmt.Errorf("%s: %v is against %s: %v", path, v, keyword, wants)
	}
	return nil
}

// fields checks those fields of an object that the keyword is about.
func (s *jsonSchema) fields(keyword string, schema, object map[string]any, path string) error {
	properties, _ := schema["properties"].(map[string]any)
	patterns, _ := schema["patternProperties"].(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		var applies []any
		for pattern, sub := range patterns {
			if regexp.MustCompile(pattern).MatchString(key) {
				applies = append(applies, sub)
			}
		}
		sub, known := properties[key]
		switch {
		case keyword == "properties" && known:
			applies = []any{sub}
		case keyword == "additionalProperties" && !known && len(applies) == 0:
			applies = []any{schema[keyword]}
		case keyword != "patternProperties":
			applies = nil
		}
		for _, one := range applies {
			if allowed, is := one.(bool); is {
				if !allowed {
					return fmt.Errorf("%s.%s is unknown", path, key)
				}
				continue
			}
			if err := s.value(one.(map[string]any), object[key], path+"."+key); err != nil {
				return err
			}
		}
	}
	return nil
}

func hasType(wants, v any) bool {
	one, single := wants.(string)
	list, _ := wants.([]any)
	if single {
		list = []any{one}
	}
	is := jsonType(v)
	return slices.Contains(list, any(is)) || is == "integer" && slices.Contains(list, any("number"))
}

func jsonType(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64: // of the schema
		return jsonType(json.Number(fmt.Sprint(v)))
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "number"
		}
		return "integer"
	}
	return ""
}

func checkText(keyword string, wants any, text string) bool {
	n := float64(utf8.RuneCountInString(text))
	switch keyword {
	case "minLength":
		return n >= wants.(float64)
	case "maxLength":
		return n <= wants.(float64)
	case "pattern":
		return regexp.MustCompile(wants.(string)).MatchString(text)
	case "format":
		_, err := time.Parse(time.RFC3339, text)
		return wants == "date-time" && err == nil
	}
	_, err := base64.StdEncoding.DecodeString(text)
	return wants == "base64" && err == nil
}

func checkKeys(keyword string, wants any, object map[string]any) bool {
	switch keyword {
	case "minProperties":
		return float64(len(object)) >= wants.(float64)
	case "maxProperties":
		return float64(len(object)) <= wants.(float64)
	}
	for _, key := range wants.([]any) {
		if _, ok := object[key.(string)]; !ok {
			return false
		}
	}
	return true
}
