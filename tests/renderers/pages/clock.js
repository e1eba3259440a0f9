/**
 * Lets the page's clock begin at `shownSince` (ms) and go on from there: answers are valid for some days only, and what is
 * typed counts after a pause, so that it must neither be today nor stand still.
 */
{
  const RealDate = Date;
  const shift = globalThis.shownSince - RealDate.now();
  globalThis.Date = class extends RealDate {
    constructor(...given) {
      super(...(given.length ? given : [RealDate.now() + shift]));
    }

    static now() {
      return RealDate.now() + shift;
    }
  };
}
