package controllers

import (
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// packedKey is the key of an unstructured app in the cache under which it has its JSON form. The CRD has no field of this name.
const packedKey = "json"

// packApp replaces an app in the cache by its JSON form without managed fields, which as maps and slices would need much more memory. It keeps the
// metadata and the fields that podLabels reads. Apps are the only objects that the operator reads unstructured.
func packApp(in any) (any, error) {
	app, ok := in.(*unstructured.Unstructured)
	if !ok || app.Object[packedKey] != nil { // an informer may transform an object again
		return in, nil
	}
	app.SetManagedFields(nil)
	data, err := json.Marshal(app.Object)
	if err != nil {
		return nil, err
	}
	packed := map[string]any{
		"apiVersion": app.Object["apiVersion"], "kind": app.Object["kind"], "metadata": app.Object["metadata"], packedKey: string(data),
	}
	for _, path := range podLabelPaths {
		if labels, found, _ := unstructured.NestedFieldNoCopy(app.Object, path...); found {
			if err := unstructured.SetNestedField(packed, labels, path...); err != nil {
				return nil, err
			}
		}
	}
	app.Object = packed
	return app, nil
}

// jsonOf returns the JSON form of an app, packed or not.
func jsonOf(app *unstructured.Unstructured) ([]byte, error) {
	if data, ok := app.Object[packedKey].(string); ok {
		return []byte(data), nil
	}
	return json.Marshal(app.Object)
}
