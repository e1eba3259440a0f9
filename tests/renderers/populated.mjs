/** A form filled in by `@aehrc/sdc-populate`, with the record read from `fhir` and value sets from `terminology`. */

import { populateQuestionnaire } from "@aehrc/sdc-populate";

/** The populated QuestionnaireResponse and the issues of it; `contexts` are launch contexts by name. */
export async function populated({ questionnaire, patient, contexts, fhir, terminology }) {
  const { user, ...others } = contexts;
  const { populateResult } = await populateQuestionnaire({
    questionnaire,
    patient,
    user,
    // What a launch names beside patient and user is read like any other resource; a draft is on no server.
    fhirContext: Object.values(others).map((each) => ({ reference: `${each.resourceType}/${each.id}` })),
    fetchResourceCallback: (query, { sourceServerUrl }) =>
      Object.values(others).find((each) => `${each.resourceType}/${each.id}` === query) ??
      json(`${sourceServerUrl}/${query}`),
    fetchResourceRequestConfig: { sourceServerUrl: fhir },
    fetchTerminologyCallback: (query, { terminologyServerUrl }) => json(`${terminologyServerUrl}/${query}`),
    fetchTerminologyRequestConfig: { terminologyServerUrl: terminology },
  });
  return populateResult;
}

async function json(url) {
  const answer = await fetch(url, { headers: { Accept: "application/fhir+json" } });
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  return answer.json();
}
