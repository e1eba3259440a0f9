/** LHC-Forms as a form app embeds it: `shown(situation)` draws a form and fills it in, `response()` is what it exports. */

globalThis.shown = async ({ questionnaire, patient, contexts, fhir }) => {
  const client = FHIR.client({ serverUrl: fhir, tokenResponse: { patient: patient.id } });
  LForms.Util.setFHIRContext(client, contexts);
  const options = { prepopulate: true, fhirVersion: "R4" };
  await LForms.Util.addFormToPage(questionnaire, "form", options);
  globalThis.patient = patient;
};

globalThis.response = () =>
  LForms.Util.getFormFHIRData("QuestionnaireResponse", "R4", "#form", { subject: globalThis.patient });

globalThis.ready = true;
