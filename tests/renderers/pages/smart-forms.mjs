/** Smart Forms' renderer as its app embeds it: `shown(situation)` fills a form in and draws it, `response()` is its answers. */

import {
  BaseRenderer,
  buildForm,
  destroyForm,
  getResponse,
  removeEmptyAnswersFromResponse,
  removeInternalIdsFromResponse,
  RendererThemeProvider,
  useRendererQueryClient,
} from "@aehrc/smart-forms-renderer";
import { QueryClientProvider } from "@tanstack/react-query";
import { createElement } from "react";
import { createRoot } from "react-dom/client";
import { populated } from "../populated.mjs";

function Form() {
  const client = useRendererQueryClient();
  const renderer = createElement(QueryClientProvider, { client }, createElement(BaseRenderer));
  return createElement(RendererThemeProvider, null, renderer);
}

let root;
let shownQuestionnaire;

globalThis.shown = async (situation) => {
  root?.unmount();
  destroyForm();
  const { populatedResponse, populatedContext } = await populated(situation);
  shownQuestionnaire = situation.questionnaire;
  await buildForm({
    questionnaire: situation.questionnaire,
    questionnaireResponse: populatedResponse,
    terminologyServerUrl: situation.terminology,
    additionalContext: populatedContext,
  });
  root = createRoot(document.getElementById("form"));
  root.render(createElement(Form));
};

globalThis.response = () => {
  const filled = removeInternalIdsFromResponse(shownQuestionnaire, getResponse());
  return removeEmptyAnswersFromResponse(shownQuestionnaire, filled);
};

globalThis.ready = true;
