package webhook

import (
	"context"
	"encoding/json"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/gracefulapp/gracefulapp/api/v1alpha1"
)

// newWebhook returns a webhook that calls the validator. If the old object of an update cannot be decoded, because it is older than the schema that
// forbids its values, the webhook validates the update as a creation, so that the app can be corrected.
func newWebhook(scheme *runtime.Scheme, v Validator) *admission.Webhook {
	webhook := admission.WithValidator(scheme, v)
	validate := webhook.Handler
	webhook.Handler = admission.HandlerFunc(func(ctx context.Context, request admission.Request) admission.Response {
		if request.Operation == admissionv1.Update && json.Unmarshal(request.OldObject.Raw, &v1alpha1.GracefulApp{}) != nil {
			request.Operation, request.OldObject = admissionv1.Create, runtime.RawExtension{}
		}
		return validate.Handle(ctx, request)
	})
	return webhook
}
